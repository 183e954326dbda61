// Whether the destination's boot state is proven, and how long ago.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "context.hpp"

namespace vmsec::migration {

// Bound to one connection. While kept, the quote is renewed before it is half as
// old as the policy allows, so that at the gate only its age is looked at.
class Evidence {
 public:
  Evidence(const Context& context, PeerContext peer) : context_(context), peer_(std::move(peer)) {}
  ~Evidence() { stop(); }
  Evidence(const Evidence&) = delete;
  Evidence& operator=(const Evidence&) = delete;

  // Asks for a quote now, where the policy wants one. An error for every verdict
  // but `trusted`, and where nobody can tell.
  Status obtain();
  // From now on renews it in a thread of its own.
  void keep();
  // Renews soon: the switch-over is near.
  void hurry();
  void stop();

  // A later quote was not `trusted`.
  [[nodiscard]] std::optional<Error> refuted() const;
  // `expired` once the last good quote is older than the policy allows.
  [[nodiscard]] Status fresh() const;
  [[nodiscard]] std::string text() const;  // "host-b: trusted"

 private:
  [[nodiscard]] Result<std::string> ask() const;
  void run();

  const Context& context_;
  const PeerContext peer_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool hurry_ = false;
  std::optional<Clock::time_point> proven_;  // when the last good quote was asked for
  std::optional<Error> refuted_;
  std::string text_;
  std::thread thread_;
};

}  // namespace vmsec::migration
