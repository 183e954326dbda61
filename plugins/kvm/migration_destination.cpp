#include "migration_destination.hpp"

#include <chrono>

#include "domain_images.hpp"
#include "migration_domain.hpp"
#include "qemu_process.hpp"

namespace vmsec::kvm {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPrepareWait{30};
constexpr milliseconds kGonePause{50};
constexpr int kGoneTries = 300;
constexpr milliseconds kRecoveryPause{10};
constexpr seconds kRecoveryWait{10};

rpc::FilterSetup setup_of(const PrepareIncoming& request, const SessionFolder& folder, const IncomingPolicy& policy,
                          const std::vector<CopiedDisk>& disks) {
  rpc::FilterSetup setup;
  setup.domain = {request.domain, request.description.name};
  setup.configuration = request.description.configuration;
  setup.policy = policy;
  setup.data_uri = "unix://" + folder.data_socket();
  setup.bulk_channels = request.options.bulk_channels;
  setup.auto_converge = request.options.auto_converge;
  setup.post_copy = request.options.post_copy;
  setup.recover = request.options.recover;
  setup.images = [policy, expected = setup.domain, xml = setup.configuration, opened = setup.recover] {
    return opened ? Status() : check_images(policy, expected, xml);
  };
  for (const CopiedDisk& disk : disks) setup.disks.push_back(disk.target);
  setup.disks_uri = "unix://" + folder.disk_socket();
  return setup;
}

// Where none are asked for, none are made, whatever the description says.
Result<std::vector<CopiedDisk>> disks_of(const PrepareIncoming& request) {
  if (!request.options.copy_disks) return std::vector<CopiedDisk>();
  auto disks = copied_disks(request.description.configuration, request.description.disks);
  if (!disks) return fail(disks.error().in("incoming domain " + request.description.name));
  return disks;
}

// What this host has of the domain before: nothing, or what a broken post-copy has left.
Status check_here(const Context& context, const PrepareIncoming& request, const IncomingPolicy& policy, bool shared) {
  const std::string& name = request.description.name;
  if (request.options.recover) return expect_behind(*context.connection, request.domain, name);
  if (shared) VMSEC_CHECK(check_images(policy, {request.domain, name}, request.description.configuration));
  return expect_absent(*context.connection, request.domain, name);
}

}  // namespace

IncomingImages incoming_images(const Context& context, const IncomingPolicy& policy, const Uuid& migration) {
  return {context.options.state_dir, policy.copy_roots, migration};
}

std::string libvirt_socket(const Context& context) {
  static constexpr std::string_view kParameter = "socket=";
  const std::string& uri = context.connection->uri();
  const std::size_t query = uri.find('?');
  const std::size_t at = query == std::string::npos ? query : uri.find(kParameter, query);
  if (at == std::string::npos) return context.setting("libvirt_socket", "/run/libvirt/libvirt-sock");
  const std::string_view value = std::string_view(uri).substr(at + kParameter.size());
  return std::string(value.substr(0, value.find('&')));
}

DestinationSession::DestinationSession(std::shared_ptr<Context> context, const PrepareIncoming& request,
                                       SessionFolder folder, const IncomingPolicy& policy,
                                       const std::vector<CopiedDisk>& disks)
    : Session(std::move(context), {request.migration, request.domain}),
      folder_(std::move(folder)),
      name_(request.description.name),
      bulk_channels_(request.options.bulk_channels),
      disks_(disks.size()),
      images_(incoming_images(*context_, policy, request.migration)),
      filter_(setup_of(request, folder_, policy, disks)),
      recovers_(request.options.recover),
      runs_(recovers_) {}

Result<std::shared_ptr<DestinationSession>> DestinationSession::prepare(std::shared_ptr<Context> context,
                                                                        const PrepareIncoming& request,
                                                                        const IncomingPolicy& policy) {
  const ExpectedDomain expected{request.domain, request.description.name};
  VMSEC_CHECK(check_domain(policy, expected, request.description.configuration));
  VMSEC_TRY(const std::vector<CopiedDisk> disks, disks_of(request));
  VMSEC_CHECK(check_here(*context, request, policy, disks.empty()));
  VMSEC_TRY(SessionFolder folder, SessionFolder::create(context->options.run_dir, request.migration,
                                                        context->setting("qemu_user", ""), Listener::qemu));
  std::shared_ptr<DestinationSession> session(
      new DestinationSession(std::move(context), request, std::move(folder), policy, disks));
  VMSEC_CHECK(session->make_images(disks, policy, request));
  if (const Status started = session->start_pump(); !started) {
    std::ignore = session->images_.abandon();
    return fail(started.error());
  }
  session->context_->held.hold(request.domain, request.migration);
  return session;
}

DestinationSession::~DestinationSession() { stop_pump(); }

Status DestinationSession::make_images(const std::vector<CopiedDisk>& disks, const IncomingPolicy& policy,
                                       const PrepareIncoming& request) const {
  if (disks.empty()) return {};
  const Status made = images_.create(disks, {folder_.qemu_uid(), folder_.qemu_gid()});
  if (!made) return fail(made.error().in("incoming domain " + name_));
  const Status good = check_images(policy, {request.domain, name_}, request.description.configuration);
  if (good) return {};
  const Status removed = images_.abandon();
  return removed ? good : Status(fail(good.error().code, good.error().message + "; " + removed.error().message));
}

void DestinationSession::watch(std::vector<pollfd>& fds) {
  for (const RpcLink* link : {&libvirt_, &peer_})
    if (link->is_open()) fds.push_back({link->fd(), link->events(), 0});
}

void DestinationSession::handle(const std::vector<pollfd>& fds) {
  libvirt_.flush();
  peer_.flush();
  if (readable(fds, libvirt_.fd())) {
    const auto state = libvirt_.receive([this](const rpc::Message& message) { from_libvirt(message); });
    if (!state || *state == RpcLink::State::closed) libvirt_closed();
  }
  if (readable(fds, peer_.fd())) {
    const auto state = peer_.receive([this](const rpc::Message& message) { from_peer(message); });
    if (!state)
      refused(state.error().message);
    else if (*state == RpcLink::State::closed)
      peer_closed("the connection to the source is gone");
  }
}

Result<ChannelEnd> DestinationSession::open(const OpenChannel& channel) {
  switch (channel.kind) {
    case ChannelKind::control:
      return open_control();
    case ChannelKind::main:
    case ChannelKind::bulk:
      return open_data(channel);
    case ChannelKind::disk:
      return open_disk(channel);
    case ChannelKind::unknown:
    case ChannelKind::urgent:
      break;
  }
  return fail(Code::unsupported,
              about() + ": kvm has no channel of kind " + std::to_string(static_cast<std::uint32_t>(channel.kind)));
}

Result<ChannelEnd> DestinationSession::open_control() {
  VMSEC_TRY(Fd libvirt, connect_to(libvirt_socket(*context_)));
  VMSEC_CHECK(set_nonblocking(libvirt));
  VMSEC_TRY(auto pair, socket_pair());
  VMSEC_CHECK(set_nonblocking(pair.first));
  VMSEC_CHECK(in_pump([&]() -> Status {
    if (control_opened_ || ended_)
      return fail(Code::wrong_state, about() + ": its control channel was opened already, or it has ended");
    control_opened_ = true;
    libvirt_ = RpcLink(std::move(libvirt));
    peer_ = RpcLink(std::move(pair.first));
    return {};
  }));
  return ChannelEnd{std::move(pair.second)};
}

Status DestinationSession::await_prepared(std::uint32_t place) {
  std::unique_lock lock(data_mutex_);
  if (place > bulk_channels_ || place < opened_)
    return fail(Code::wrong_state, about() + ": data channel " + std::to_string(place) +
                                       " was opened already, or is more than were agreed on");
  const bool ready =
      data_changed_.wait_for(lock, kPrepareWait, [&] { return (prepared_ && opened_ == place) || ended_; });
  if (ended_) return fail(Code::wrong_state, about() + ": it has ended");
  if (!ready)
    return fail(Code::timeout, about() + ": data channel " + std::to_string(place) +
                                   " cannot be opened before libvirt is prepared and the one before it is open");
  return {};
}

// The sockets' folder belongs to a user whom other guests' QEMU may run as: who listens must be this domain's.
Result<Fd> DestinationSession::connect_to_qemu(const std::string& path) const {
  VMSEC_TRY(Fd fd, connect_to(path));
  VMSEC_TRY(const PeerProcess listener, peer_process(fd));
  const auto qemu = find_qemu(context_->setting("libvirt_run_dir", kUsualRunDir), name_, ref_.domain);
  if (!qemu) return fail(qemu.error().in(about() + ": who listens on " + path));
  if (listener.pid == qemu->pid) return fd;
  return fail(Code::denied, about() + ": process " + std::to_string(listener.pid) + " listens on " + path + ", not " +
                                std::to_string(qemu->pid) + ", the domain's QEMU");
}

Result<ChannelEnd> DestinationSession::open_data(const OpenChannel& channel) {
  if (channel.kind == ChannelKind::main && channel.index != 0)
    return fail(Code::invalid_argument, about() + ": there is one main channel, index 0");
  const std::uint32_t place = channel.kind == ChannelKind::main ? 0 : channel.index + 1;
  // QEMU tells its main channel by being the first.
  VMSEC_CHECK(await_prepared(place));
  VMSEC_TRY(Fd fd, connect_to_qemu(folder_.data_socket()));
  {
    const std::lock_guard lock(data_mutex_);
    if (opened_ != place) return fail(Code::wrong_state, about() + ": that data channel was opened meanwhile");
    ++opened_;
  }
  data_changed_.notify_all();
  return ChannelEnd{std::move(fd)};
}

// Their order is of no matter: each names its disk in its first bytes.
Result<ChannelEnd> DestinationSession::open_disk(const OpenChannel& channel) {
  const std::string what = about() + ": disk channel " + std::to_string(channel.index);
  {
    std::unique_lock lock(data_mutex_);
    if (channel.index >= disks_) return fail(Code::wrong_state, what + " is more than were agreed on");
    const bool ready = data_changed_.wait_for(lock, kPrepareWait, [&] { return prepared_ || ended_; });
    if (ended_) return fail(Code::wrong_state, about() + ": it has ended");
    if (!ready) return fail(Code::timeout, what + " cannot be opened before libvirt is prepared");
    if (!opened_disks_.insert(channel.index).second) return fail(Code::wrong_state, what + " was opened already");
  }
  VMSEC_TRY(Fd fd, connect_to_qemu(folder_.disk_socket()));
  return ChannelEnd{std::move(fd)};
}

void DestinationSession::from_peer(const rpc::Message& message) {
  if (!peer_.is_open()) return;
  const rpc::Step step = filter_.from_peer(message);
  switch (step.action) {
    case rpc::Action::forward:
      return libvirt_.send(step.bytes);
    case rpc::Action::answer:
      return peer_.send(step.bytes);
    case rpc::Action::hold:
      held_ = true;
      return raise(SessionEventKind::gate);
    case rpc::Action::refuse:
      peer_.send(step.bytes);
      return refused(step.cause);
    case rpc::Action::drop:
      return;
  }
}

void DestinationSession::from_libvirt(const rpc::Message& message) {
  const bool was_finished = filter_.finished();
  const rpc::Step step = filter_.from_libvirt(message);
  if (step.action == rpc::Action::answer) return libvirt_.send(step.bytes);
  if (step.action != rpc::Action::forward) return;
  if (filter_.loaded() && !was_finished) loaded();
  if (refusal_ && filter_.finished() && !was_finished)
    peer_.send(filter_.answer_refused(*refusal_));
  else
    peer_.send(step.bytes);
  if (filter_.prepared()) {
    {
      const std::lock_guard lock(data_mutex_);
      prepared_ = true;
    }
    data_changed_.notify_all();
  }
  if (ended_) return;
  if (refusal_ && filter_.finished()) return fail_session(*refusal_);
  if (filter_.finished() && !filter_.loaded()) return fail_session(filter_.failure());
  if (!filter_.prepared() && !filter_.failure().empty()) fail_session(filter_.failure());
}

void DestinationSession::loaded() {
  // The source's next calls only end its connection.
  end(SessionEventKind::done, {});
}

void DestinationSession::refused(const std::string& cause) {
  raise(SessionEventKind::refused, cause);
  peer_closed(cause);
}

void DestinationSession::peer_closed(const std::string& why) {
  if (!peer_.is_open()) return;
  peer_.close_gently();
  // The order to load has been given: what becomes of it, libvirtd tells.
  if (filter_.finish_sent() && !filter_.finished() && libvirt_.is_open()) return;
  if (ended_) return libvirt_.close();
  fail_session(why);
}

void DestinationSession::libvirt_closed() {
  if (!libvirt_.is_open()) return;
  libvirt_.close();
  if (ended_) return peer_.close_gently();
  if (filter_.finish_sent() && !filter_.finished())
    return finish(SessionEventKind::doubt, "libvirt's connection is gone while it loads the guest");
  fail_session("libvirt's connection is gone");
}

void DestinationSession::fail_session(const std::string& why) {
  libvirt_.close();
  peer_.close_gently();
  if (is_gone()) {
    const Status removed = images_.discard();
    return finish(SessionEventKind::failed, removed ? why : why + "; " + removed.error().message);
  }
  if (recovers_) return finish(SessionEventKind::doubt, why);
  finish(SessionEventKind::doubt, why + "; and it is not known yet whether libvirt has destroyed what it prepared");
}

bool DestinationSession::is_gone() const {
  for (int i = 0; i < kGoneTries; ++i) {
    const auto here = domain_holding(*context_->connection, ref_.domain);
    if (!here && here.error().code == Code::unavailable) return false;
    if (here && !here->present) return true;
    if (here && recovers_) return false;
    // A definition that libvirt kept of a guest that it could not load; one that was to run may have, and ended.
    if (here && here->state == DomainState::shut_off && !here->migrating && runs_) return false;
    if (here && here->state == DomainState::shut_off && !here->migrating)
      static_cast<void>(remove_domain(*context_->connection, ref_.domain, "clean up after " + about()));
    std::this_thread::sleep_for(kGonePause);
  }
  return false;
}

void DestinationSession::finish(SessionEventKind kind, const std::string& detail) {
  libvirt_.close();
  peer_.close_gently();
  if (kind == SessionEventKind::failed) context_->held.release(ref_.domain);
  end(kind, detail);
  data_changed_.notify_all();
}

// Asked for the end of a post-copy that its QEMU has not yet taken up, libvirt calls it broken; and a QEMU that loses
// its channel just then may not be able to try again.
Status DestinationSession::await_recovery() const {
  const auto until = std::chrono::steady_clock::now() + kRecoveryWait;
  while (std::chrono::steady_clock::now() < until && !ended_) {
    const auto again = follows_again(*context_->connection, ref_.domain);
    if (again && *again) return {};
    std::this_thread::sleep_for(kRecoveryPause);
  }
  return fail(Code::timeout, "decide " + about() + ": QEMU has not taken it up");
}

Result<Empty> DestinationSession::decide(const GateDecision& decision) {
  const Status recovered = recovers_ && decision.proceed ? await_recovery() : Status();
  VMSEC_CHECK(in_pump([&]() -> Status {
    if (!held_ || ended_) return fail(Code::wrong_state, "decide " + about() + ": it does not wait at its gate");
    held_ = false;
    if (!recovered) {
      fail_session(recovered.error().message);
      return {};
    }
    if (!decision.proceed) refusal_ = decision.reason;
    if (!decision.proceed) {
      libvirt_.send(filter_.cancel());
      return {};
    }
    runs_ = decision.runs;
    // Before it runs, as activate() does.
    if (decision.runs) std::ignore = images_.keep();
    using Load = rpc::DestinationFilter::Load;
    libvirt_.send(filter_.proceed(decision.runs ? Load::running : Load::paused));
    return {};
  }));
  return Empty{};
}

Result<Empty> DestinationSession::cancel() {
  VMSEC_CHECK(in_pump([&]() -> Status {
    if (filter_.loaded())
      return fail(Code::wrong_state, "cancel " + about() + ": the guest is loaded; discard it, or activate it");
    if (ended_) return {};
    if (filter_.finish_sent() && !filter_.finished())
      return fail(Code::wrong_state, "cancel " + about() + ": libvirt is loading the guest");
    fail_session("cancelled");
    return {};
  }));
  return Empty{};
}

Result<Empty> DestinationSession::close() {
  if (ended_) return Empty{};
  const auto cancelled = cancel();
  if (cancelled || ended_) return Empty{};
  // It is being loaded: soon that has an end.
  if (wait_ended(kEndWait)) return Empty{};
  return fail(Code::timeout, "close " + about() + ": libvirt has not ended the migration");
}

}  // namespace vmsec::kvm
