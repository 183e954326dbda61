#include "incoming.hpp"

#include "lent_call.hpp"

namespace vmsec::xen {
namespace {

constexpr double kLetsGo = 90;

}  // namespace

std::shared_ptr<Incoming> Incoming::start(std::shared_ptr<Context> context, const PrepareIncoming& request,
                                          std::string configuration) {
  auto session = std::make_shared<Incoming>(std::move(context), request, std::move(configuration));
  session->context_->held.hold(request.domain, request.migration);
  session->start_engine();
  return session;
}

Incoming::Incoming(std::shared_ptr<Context> context, const PrepareIncoming& request, std::string configuration)
    : Session({request.domain, request.description.name, request.description.memory}, request.migration,
              request.options),
      context_(std::move(context)),
      configuration_(std::move(configuration)) {}

Result<ChannelEnd> Incoming::open(const OpenChannel& request) {
  const std::string what = "open a channel for " + domain_.name;
  if ((request.kind != ChannelKind::control && request.kind != ChannelKind::main) || request.index != 0)
    return fail(Code::unsupported, what + ": libxl moves a domain through one control and one main channel");
  ChannelEnd near_end;
  VMSEC_TRY(auto stream, Stream::open(request.kind, 0, std::nullopt, near_end.fd));
  const std::lock_guard lock(mutex_);
  if (refusing_) return fail(Code::wrong_state, what + ": its session has ended");
  if (request.kind == ChannelKind::control ? has_control() : main_ != nullptr)
    return fail(Code::already_exists, what + ": it is open");
  if (request.kind == ChannelKind::control)
    start_control(std::move(stream));
  else
    main_ = std::move(stream);
  changed_.notify_all();
  return near_end;
}

void Incoming::break_data() {
  if (main_) main_->break_off();
}

void Incoming::run() {
  Status ready = await_control();
  if (ready) ready = begin();
  if (ready) ready = await_main();
  if (ready) ready = ask_libxl();
  if (!ready) return give_up(ready.error());
  auto finish = transfer();
  if (!finish) return give_up(finish.error());
  if (auto passed = pass_gate(); !passed) return give_up(passed.error());
  load(*finish);
}

Status Incoming::begin() {
  VMSEC_TRY(const Control begin, receive());
  if (begin.kind != ControlKind::begin) return fail(Code::invalid_argument, "the source did not begin");
  if (begin.version != common::kProtocolVersion)
    return fail(Code::unsupported, "the source speaks version " + std::to_string(begin.version) + ", this host " +
                                       std::to_string(common::kProtocolVersion));
  if (begin.migration != migration_ || begin.domain != domain_.uuid || begin.memory != domain_.memory)
    return fail(Code::invalid_argument, "the source sends another domain than the one that was prepared for");
  return send(Control{.kind = ControlKind::accept});
}

Status Incoming::await_main() {
  wait([&] { return main_ != nullptr; }, 1e9);
  return trouble();
}

// The session lives as long as the call, which may never come back.
Status Incoming::ask_libxl() {
  int channel = -1;
  {
    const std::lock_guard lock(mutex_);
    channel = main_->fd();
    asked_ = true;
  }
  const auto self = shared_from_this();
  Status started = start_lent_call(
      context_, domain_.uuid, "receive " + domain_.name, channel,
      [self](Libxl& libxl, int fd) { return self->restore(libxl, fd); },
      [self](Status answer) {
        if (!answer) self->fail_data(answer.error());
        const std::lock_guard lock(self->mutex_);
        self->answer_ = std::move(answer);
        self->changed_.notify_all();
      });
  if (started) return started;
  const std::lock_guard lock(mutex_);
  asked_ = false;
  return started;
}

Status Incoming::restore(Libxl& libxl, int fd) {
  const std::string operation = "receive " + domain_.name;
  DomainConfig config;
  if (const int code = libxl_domain_config_from_json(libxl.get(), config.get(), configuration_.c_str()); code != 0)
    return fail(libxl.error(operation + ": its configuration", code));
  RestoreParams params;
  params->stream_version = 2;
  std::uint32_t domid = INVALID_DOMID;
  const int code =
      libxl_domain_create_restore(libxl.get(), config.get(), &domid, fd, -1, params.get(), nullptr, nullptr);
  if (code != 0) return fail(libxl.error(operation, code));
  return {};
}

Result<Control> Incoming::transfer() {
  VMSEC_TRY(Control finish, receive());
  if (finish.kind == ControlKind::abort) return fail(Code::cancelled, "the source called it off: " + finish.reason);
  if (finish.kind != ControlKind::finish) return fail(Code::invalid_argument, "the source did not finish");
  wait([&] { return answer_.has_value(); }, 1e9);
  VMSEC_CHECK(trouble());
  return finish;
}

void Incoming::give_up(const Error& why) {
  static_cast<void>(send(Control{.kind = ControlKind::refuse, .reason = why.message}));
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    break_data();
  }
  const std::string what = "receive " + domain_.name + ": " + why.message;
  if (!wait_back([&] { return !asked_ || answer_.has_value(); }, kLetsGo))
    return end(SessionEventKind::doubt, what + "; and libxl has not come back since");
  if (const Status gone = remove_domain(*context_, domain_.uuid, "discard " + domain_.name); !gone)
    return end(SessionEventKind::doubt, what + "; and " + gone.error().message);
  context_->held.release(domain_.uuid);
  end(SessionEventKind::failed, what);
}

// It is loaded already, and paused: all that is left is to say so.
void Incoming::load(const Control& finish) {
  // An answer that was not sent whole cannot be understood: the source cannot let go.
  if (auto sent = send(Control{.kind = ControlKind::loaded, .token = finish.token}); !sent)
    return give_up(sent.error());
  end(SessionEventKind::done, {});
}

}  // namespace vmsec::xen
