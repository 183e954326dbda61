// The source's end of a move: libxl suspends the guest into the main channel.
#pragma once

#include "context.hpp"
#include "moves.hpp"
#include "session.hpp"

namespace vmsec::xen {

using common::Control;
using common::ControlKind;
using common::Stream;

class Outgoing final : public common::Session, public std::enable_shared_from_this<Outgoing> {
 public:
  // Makes the channels and begins. The domain is held from here on.
  static Result<std::shared_ptr<Outgoing>> start(std::shared_ptr<Context> context, const StartOutgoing& request,
                                                 const DomainDescription& description, Transfer transfer);
  Outgoing(std::shared_ptr<Context> context, const StartOutgoing& request, const DomainDescription& description,
           Transfer transfer);

 private:
  using Clock = std::chrono::steady_clock;

  Status make_channels();
  void run() override;
  void break_data() override;

  // Each answers an error as long as the guest may go on here.
  Status begin();
  Status send_guest();
  Status ask_libxl();
  // On libxl's thread.
  Status suspend(Libxl& libxl, int fd);
  void note_progress(std::uint64_t done, std::uint64_t total);
  void note_line(std::string_view line);

  void give_up(const Error& why);
  // After the gate: from the word to the answer.
  void hand_over();
  void doubt(const std::string& why);
  void measure_downtime();

  const std::shared_ptr<Context> context_;
  const Transfer transfer_;
  std::unique_ptr<Stream> main_;
  // Under the session's lock.
  bool asked_ = false;  // libxl has the domain
  std::optional<Status> answer_;
  Clock::time_point stopped_at_{};
  std::uint64_t last_done_ = 0;
};

}  // namespace vmsec::xen
