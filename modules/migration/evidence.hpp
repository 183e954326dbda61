// Whether the destination's boot state is proven, and how long ago.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "context.hpp"
#include "verdict_changes.hpp"

namespace vmsec::migration {

// Bound to one connection. While kept, the quote is renewed before it is half as
// old as the policy allows, so that at the gate only its age is looked at; and what is
// found out otherwise about the destination is heard within half a second.
class Evidence {
 public:
  Evidence(const Context& context, PeerContext peer)
      : context_(context), peer_(std::move(peer)), changes_(context, peer_.peer) {}
  ~Evidence() { stop(); }
  Evidence(const Evidence&) = delete;
  Evidence& operator=(const Evidence&) = delete;

  // Asks for a quote now, where the policy wants one. An error for every verdict
  // but `trusted`, and where nobody can tell.
  Status obtain();
  // Hears now what has become of the destination. An error: it is refuted, or nobody can
  // tell, and it does not prove itself anew.
  Status hear();
  // From now on renews it in a thread of its own.
  void keep();
  // Renews soon: the switch-over is near.
  void hurry();
  void stop();

  // It is not trusted any more, or could not be asked until its proof was too old.
  [[nodiscard]] std::optional<Error> refuted() const;
  // `expired` once the last good quote is older than the policy allows.
  [[nodiscard]] Status fresh() const;
  [[nodiscard]] std::string text() const;  // "host-b: trusted"

 private:
  [[nodiscard]] Result<std::string> ask() const;
  void run();
  void renew();
  [[nodiscard]] Clock::time_point next_renewal() const;  // under the lock
  Status refute(const AttestationChange& change);

  const Context& context_;
  const PeerContext peer_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  bool hurry_ = false;
  VerdictChanges changes_;
  Clock::time_point tried_;
  std::optional<Clock::time_point> proven_;  // when the last good quote was asked for
  std::optional<Error> refuted_;
  std::string text_;
  std::thread thread_;
};

}  // namespace vmsec::migration
