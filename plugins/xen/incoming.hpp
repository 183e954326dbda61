// The destination's end of a move: libxl restores the guest from the main channel, paused.
#pragma once

#include "context.hpp"
#include "moves.hpp"
#include "session.hpp"

namespace vmsec::xen {

using common::Control;
using common::ControlKind;
using common::Stream;

class Incoming final : public common::Session, public std::enable_shared_from_this<Incoming> {
 public:
  // `configuration`: libxl's JSON, checked, for this host. The domain is held from here on.
  static std::shared_ptr<Incoming> start(std::shared_ptr<Context> context, const PrepareIncoming& request,
                                         std::string configuration);
  Incoming(std::shared_ptr<Context> context, const PrepareIncoming& request, std::string configuration);
  Result<ChannelEnd> open(const OpenChannel& request) override;

 private:
  void run() override;
  void break_data() override;

  // Each answers an error as long as nothing of the domain can run.
  Status begin();
  Status await_main();
  Result<Control> transfer();
  Status ask_libxl();
  // On libxl's thread.
  Status restore(Libxl& libxl, int fd);
  // After the gate.
  void load(const Control& finish);
  void give_up(const Error& why);

  const std::shared_ptr<Context> context_;
  const std::string configuration_;
  // Under the session's lock.
  std::unique_ptr<Stream> main_;
  bool asked_ = false;  // libxl has the channel
  std::optional<Status> answer_;
  bool refusing_ = false;  // no more channels
};

}  // namespace vmsec::xen
