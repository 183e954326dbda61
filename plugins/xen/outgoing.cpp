#include "outgoing.hpp"

#include <sys/socket.h>

#include <random>

#include "lent_call.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kPage = 4096;
// A guest has a minute to answer Xen's request to suspend, and another to do so; libxl cannot be called off meanwhile.
constexpr double kComesBack = 150;

}  // namespace

Result<std::shared_ptr<Outgoing>> Outgoing::start(std::shared_ptr<Context> context, const StartOutgoing& request,
                                                  const DomainDescription& description, Transfer transfer) {
  auto session = std::make_shared<Outgoing>(std::move(context), request, description, transfer);
  VMSEC_CHECK(session->make_channels());
  session->context_->held.hold(request.domain, request.migration);
  session->start_engine();
  return session;
}

Outgoing::Outgoing(std::shared_ptr<Context> context, const StartOutgoing& request, const DomainDescription& description,
                   Transfer transfer)
    : Session({description.domain, description.name, description.memory}, request.migration, request.options),
      context_(std::move(context)),
      transfer_(transfer) {}

Status Outgoing::make_channels() {
  Fd near_end;
  VMSEC_TRY(auto control, Stream::open(ChannelKind::control, 0, std::nullopt, near_end));
  push({SessionEventKind::channel, ChannelKind::control, 0, std::move(near_end), {}});
  VMSEC_TRY(main_, Stream::open(ChannelKind::main, 0, std::nullopt, near_end));
  push({SessionEventKind::channel, ChannelKind::main, 0, std::move(near_end), {}});
  start_control(std::move(control));
  return {};
}

void Outgoing::break_data() { main_->break_off(); }

void Outgoing::run() {
  Status ready = begin();
  if (ready) ready = send_guest();
  if (ready) ready = pass_gate();
  if (!ready) return give_up(ready.error());
  hand_over();
}

Status Outgoing::begin() {
  Control begin{.kind = ControlKind::begin};
  begin.version = common::kProtocolVersion;
  begin.migration = migration_;
  begin.domain = domain_.uuid;
  begin.memory = domain_.memory;
  VMSEC_CHECK(send(begin));
  VMSEC_TRY(const Control answer, receive());
  if (answer.kind == ControlKind::accept) return {};
  return fail(Code::cancelled, "the destination does not take it: " + answer.reason);
}

Status Outgoing::send_guest() {
  VMSEC_CHECK(ask_libxl());
  wait([&] { return answer_.has_value(); }, 1e9);
  Status cause = trouble();
  if (!cause) {
    // Its next write fails, and it comes back.
    main_->break_off();
    wait_back([&] { return answer_.has_value(); }, kComesBack);
    return cause;
  }
  const std::lock_guard lock(mutex_);
  return *answer_;
}

// The session lives as long as the call, which may never come back.
Status Outgoing::ask_libxl() {
  int channel = -1;
  {
    const std::lock_guard lock(mutex_);
    channel = main_->fd();
    asked_ = true;
  }
  const auto self = shared_from_this();
  Status started = start_lent_call(
      context_, domain_.uuid, "migrate " + domain_.name, channel,
      [self](Libxl& libxl, int fd) { return self->suspend(libxl, fd); },
      [self](Status answer) {
        const std::lock_guard lock(self->mutex_);
        self->answer_ = std::move(answer);
        self->changed_.notify_all();
      });
  if (started) return started;
  const std::lock_guard lock(mutex_);
  asked_ = false;
  return started;
}

Status Outgoing::suspend(Libxl& libxl, int fd) {
  const std::string operation = "send " + domain_.name;
  VMSEC_TRY(const Seen seen, find_domain(libxl, context_->pool, domain_.uuid, operation));
  VMSEC_CHECK(require_active(seen, operation));
  libxl.listen({[this](std::uint64_t done, std::uint64_t total) { note_progress(done, total); },
                [this](std::string_view line) { note_line(line); }});
  const int flags = transfer_ == Transfer::live ? LIBXL_SUSPEND_LIVE : 0;
  const int code = libxl_domain_suspend(libxl.get(), seen.domid, fd, flags, nullptr);
  if (code != 0) return fail(libxl.error(operation, code, seen.domid));
  // No more comes: the relay may count.
  ::shutdown(fd, SHUT_WR);
  return {};
}

// One pass over what is dirty after the other; each counts from 0.
void Outgoing::note_progress(std::uint64_t done, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  if (done < last_done_ || progress_.iteration == 0) {
    ++progress_.iteration;
    last_done_ = 0;
  }
  progress_.transferred.value += (done - last_done_) * kPage;
  progress_.remaining.value = done < total ? (total - done) * kPage : 0;
  last_done_ = done;
}

void Outgoing::note_line(std::string_view line) {
  if (!line.ends_with("guest has suspended")) return;
  const std::lock_guard lock(mutex_);
  stopped_at_ = Clock::now();
}

// Stopped, and nobody knows for whom: it stays so and held until somebody resolves it.
void Outgoing::doubt(const std::string& why) {
  end(SessionEventKind::doubt, domain_.name + " is held on both hosts until the migration is resolved: " + why);
}

void Outgoing::give_up(const Error& why) {
  // The destination discards on this word, or when the channel ends.
  static_cast<void>(send(Control{.kind = ControlKind::abort, .reason = why.message}));
  bool back = false;
  {
    const std::lock_guard lock(mutex_);
    back = !asked_ || answer_.has_value();
  }
  if (!back) return doubt(why.message + "; and libxl has not come back since");
  if (const Status on = reclaim_domain(*context_, domain_.uuid, Paused::stays, "go on with " + domain_.name);
      !on && on.error().code != Code::not_found)
    return doubt(why.message + "; and " + on.error().message);
  measure_downtime();
  context_->held.release(domain_.uuid);
  end(SessionEventKind::failed, "migrate " + domain_.name + ": " + why.message);
}

void Outgoing::hand_over() {
  Control finish{.kind = ControlKind::finish};
  std::random_device random;
  finish.token = (static_cast<std::uint64_t>(random()) << 32) | random();
  // A word that was not sent whole cannot be understood: the guest goes on here.
  if (auto sent = send(finish); !sent) return give_up(sent.error());
  const auto answer = receive();
  if (!answer) return doubt(answer.error().message);
  if (answer->kind == ControlKind::refuse)
    return give_up({Code::cancelled, "the destination refused to load it: " + answer->reason, 0, {}});
  if (answer->kind != ControlKind::loaded || answer->token != finish.token)
    return doubt("the destination's answer makes no sense");
  measure_downtime();
  if (auto gone = remove_domain(*context_, domain_.uuid, "let go of " + domain_.name); !gone)
    return doubt(gone.error().message);
  context_->held.release(domain_.uuid);
  end(SessionEventKind::done, {});
}

void Outgoing::measure_downtime() {
  const std::lock_guard lock(mutex_);
  if (stopped_at_ == Clock::time_point{}) return;
  progress_.downtime.value = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - stopped_at_).count());
}

}  // namespace vmsec::xen
