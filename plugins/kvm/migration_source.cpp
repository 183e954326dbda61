#include "migration_source.hpp"

#include <sys/socket.h>

#include <algorithm>

#include "domain_policy.hpp"
#include "domain_xml.hpp"
#include "host_path.hpp"
#include "migration_domain.hpp"
#include "text.hpp"
#include "units.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::chrono::milliseconds kTakenWait{500};  // for libvirt to read an answer
constexpr std::chrono::milliseconds kPostCopyPause{2};
constexpr std::chrono::seconds kPostCopyWait{10};

// Once its last call (Finish) is there, libvirt never lets it go on here any more.
bool in_post_copy(virDomainPtr domain) {
  int state = 0;
  int reason = 0;
  return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
         (reason == VIR_DOMAIN_PAUSED_POSTCOPY || reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED);
}

// What libvirt has kept of one that broke, and takes up.
bool is_left_of_post_copy(virDomainPtr domain) {
  int state = 0;
  int reason = 0;
  return virDomainGetState(domain, &state, &reason, 0) == 0 && state == VIR_DOMAIN_PAUSED &&
         reason == VIR_DOMAIN_PAUSED_POSTCOPY_FAILED;
}

// Parameters of virDomainMigrateToURI3.
class Parameters {
 public:
  Parameters() = default;
  Parameters(const Parameters&) = delete;
  Parameters& operator=(const Parameters&) = delete;
  ~Parameters() { virTypedParamsFree(list_, count_); }
  bool text(const char* name, const std::string& value) {
    return virTypedParamsAddString(&list_, &count_, &room_, name, value.c_str()) == 0;
  }
  bool number(const char* name, std::uint64_t value) {
    return virTypedParamsAddULLong(&list_, &count_, &room_, name, value) == 0;
  }
  bool integer(const char* name, int value) { return virTypedParamsAddInt(&list_, &count_, &room_, name, value) == 0; }
  [[nodiscard]] virTypedParameterPtr list() const { return list_; }
  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(count_); }

 private:
  virTypedParameterPtr list_ = nullptr;
  int count_ = 0;
  int room_ = 0;
};

std::string data_uri(const SessionFolder& folder) { return "unix://" + folder.data_socket(); }
std::string disks_uri(const SessionFolder& folder) { return "unix://" + folder.disk_socket(); }

// libvirt knows network file systems, and calls a migration with disks on others
// unsafe. The setting is the operator's word that both hosts see the same there.
bool disks_are_shared(const Context& context, const std::string& configuration,
                      const std::vector<std::string>& copied) {
  const auto folders = common::words_of(context.setting("outgoing.shared_roots", ""));
  const auto xml = parse_domain_xml(configuration);
  if (folders.empty() || !xml) return false;
  return std::all_of(xml->disks.begin(), xml->disks.end(), [&](const XmlDisk& disk) {
    return disk.source.empty() || std::ranges::find(copied, disk.target) != copied.end() ||
           common::lies_below(disk.source, folders);
  });
}

}  // namespace

SourceSession::SourceSession(std::shared_ptr<Context> context, const StartOutgoing& request, SessionFolder folder,
                             const DomainDescription& description, std::vector<std::string> disks)
    : Session(std::move(context), {request.migration, request.domain}),
      folder_(std::move(folder)),
      description_(description),
      bulk_channels_(request.options.bulk_channels),
      disks_(std::move(disks)),
      calls_({description.domain, description.name}, data_uri(folder_),
             disks_.empty() ? CookieDisks::none : CookieDisks::maybe) {}

Result<std::shared_ptr<SourceSession>> SourceSession::start(std::shared_ptr<Context> context,
                                                            const StartOutgoing& request,
                                                            const DomainDescription& description,
                                                            std::vector<std::string> disks) {
  VMSEC_TRY(SessionFolder folder, SessionFolder::create(context->options.run_dir, request.migration,
                                                        context->setting("qemu_user", ""), Listener::agent));
  std::shared_ptr<SourceSession> session(
      new SourceSession(std::move(context), request, std::move(folder), description, std::move(disks)));
  VMSEC_CHECK(session->listen());
  const std::string run_dir = session->context_->setting("libvirt_run_dir", kUsualRunDir);
  auto qemu = find_qemu(run_dir, description.name, request.domain);
  // Without it the copy's end is libvirt's work alone, which takes longer.
  if (!qemu && (session->bulk_channels_ > 0 || !session->disks_.empty() || request.options.post_copy))
    return fail(qemu.error());
  if (qemu) session->qemu_ = std::move(*qemu);
  VMSEC_CHECK(session->start_pump());
  VMSEC_CHECK(session->start_call(request));
  return session;
}

SourceSession::~SourceSession() {
  // Whatever libvirt still waits for will not come: the guest goes on here. That
  // is safe, because no destination runs before this side has said so.
  if (call_thread_.joinable()) {
    post([this] {
      cancelled_ = true;
      libvirt_.close();
      peer_.close();
      rpc_listener_.reset();
      data_listener_.reset();
      drop_disks();
    });
    call_thread_.join();
  }
  stop_pump();
}

// QEMU waits for each disk's connection until it is carried: see WaitingDomains.
Result<SessionEvent> SourceSession::next(Microseconds wait) {
  auto event = Session::next(wait);
  if (event && event->kind == SessionEventKind::channel && event->channel == ChannelKind::disk &&
      ++taken_disks_ == disks_.size())
    context_->waiting.remove(ref_.domain);
  return event;
}

Status SourceSession::listen() {
  VMSEC_TRY(rpc_listener_, listen_on(folder_.rpc_socket()));
  VMSEC_TRY(data_listener_, listen_on(folder_.data_socket()));
  VMSEC_CHECK(folder_.give_to_qemu(folder_.data_socket()));
  if (disks_.empty()) return {};
  VMSEC_TRY(disk_listener_, listen_on(folder_.disk_socket()));
  return folder_.give_to_qemu(folder_.disk_socket());
}

Status SourceSession::start_call(const StartOutgoing& request) {
  const std::string operation = "start " + about();
  // Of its own: the call takes as long as the migration does.
  VMSEC_TRY(call_connection_, Connection::open(context_->connection->uri()));
  VMSEC_TRY(DomainPtr domain, call_connection_->domain(request.domain, operation));
  int state = 0;
  if (virDomainGetState(domain.get(), &state, nullptr, 0) < 0) return fail(virt_error(operation));
  const bool recovers = request.options.recover;
  if (recovers && !is_left_of_post_copy(domain.get()))
    return fail(Code::wrong_state, operation + ": no post-copy of it has broken");
  post_copy_ = recovers;
  was_paused_ = state == VIR_DOMAIN_PAUSED && !recovers;
  if (was_paused_ && request.options.post_copy)
    return fail(Code::wrong_state, operation + ": post-copy is for a domain that runs");
  const int persistent = virDomainIsPersistent(domain.get());
  if (persistent < 0) return fail(virt_error(operation));
  int autostart = 0;
  if (persistent == 1 && virDomainGetAutostart(domain.get(), &autostart) < 0) return fail(virt_error(operation));
  starts_by_itself_ = autostart != 0;
  // COMMIT comes while its definition is still here: after a loss of power this host would start it from its disks.
  if (starts_by_itself_ && request.options.post_copy)
    return fail(
        Code::wrong_state,
        operation + ": post-copy is not for a domain that libvirt starts by itself (virsh autostart --disable)");
  const std::uint64_t milliseconds = request.options.maximum_downtime.value / 1000;
  if (request.options.maximum_downtime.value > 0 &&
      virDomainMigrateSetMaxDowntime(domain.get(), std::max<std::uint64_t>(milliseconds, 1), 0) < 0)
    return fail(virt_error(operation + ": set the maximum downtime"));
  context_->held.hold(request.domain, request.migration);
  if (!disks_.empty()) context_->waiting.add(request.domain);
  call_thread_ =
      std::thread([this, request, persistent, owned = std::move(domain)] { call(owned, request, persistent == 1); });
  return {};
}

void SourceSession::call(const DomainPtr& domain, const StartOutgoing& request, bool persistent) {
  Parameters parameters;
  unsigned flags = VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_LIVE;
  flags |= request.options.post_copy ? VIR_MIGRATE_POSTCOPY : VIR_MIGRATE_PAUSED;
  if (request.options.recover) flags |= VIR_MIGRATE_POSTCOPY_RESUME;
  if (persistent) flags |= VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE;
  if (disks_are_shared(*context_, description_.configuration, disks_)) flags |= VIR_MIGRATE_UNSAFE;
  bool ready = parameters.text(VIR_MIGRATE_PARAM_URI, data_uri(folder_));
  if (bulk_channels_ > 0) {
    flags |= VIR_MIGRATE_PARALLEL;
    ready = ready && parameters.integer(VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, static_cast<int>(bulk_channels_));
  }
  if (!disks_.empty()) {
    flags |= VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES;
    ready = ready && parameters.text(VIR_MIGRATE_PARAM_DISKS_URI, disks_uri(folder_));
    for (const std::string& disk : disks_) ready = ready && parameters.text(VIR_MIGRATE_PARAM_MIGRATE_DISKS, disk);
  }
  if (request.options.auto_converge) flags |= VIR_MIGRATE_AUTO_CONVERGE;
  const std::uint64_t bandwidth = (request.options.bandwidth.value + common::kMebibyte - 1) / common::kMebibyte;
  if (bandwidth > 0) ready = ready && parameters.number(VIR_MIGRATE_PARAM_BANDWIDTH, bandwidth);
  const std::string destination = "qemu+unix:///system?socket=" + folder_.rpc_socket();
  const bool succeeded = ready && virDomainMigrateToURI3(domain.get(), destination.c_str(), parameters.list(),
                                                         parameters.count(), flags) == 0;
  const std::string message = succeeded ? std::string() : virt_error("migrate " + description_.name).message;
  post([this, succeeded, message] { conclude(succeeded, message); });
}

void SourceSession::watch(std::vector<pollfd>& fds) {
  for (const Fd* listener : {&rpc_listener_, &data_listener_, &disk_listener_})
    if (listener->valid()) fds.push_back({listener->get(), POLLIN, 0});
  for (const RpcLink* link : {&libvirt_, &peer_})
    if (link->is_open()) fds.push_back({link->fd(), link->events(), 0});
}

void SourceSession::handle(const std::vector<pollfd>& fds) {
  libvirt_.flush();
  peer_.flush();
  if (readable(fds, data_listener_.get())) accept_qemu();
  if (readable(fds, disk_listener_.get())) accept_disk();
  if (readable(fds, libvirt_.fd())) {
    const auto state = libvirt_.receive([this](const rpc::Message& message) { from_libvirt(message); });
    if (!state || *state == RpcLink::State::closed) libvirt_closed();
  }
  if (readable(fds, peer_.fd())) {
    const auto state = peer_.receive([this](const rpc::Message& message) { from_peer(message); });
    if (!state)
      peer_closed(state.error().message);
    else if (*state == RpcLink::State::closed)
      peer_closed("the connection to the destination is gone");
  }
  if (readable(fds, rpc_listener_.get())) accept_libvirt();
}

void SourceSession::accept_libvirt() {
  Fd fd(::accept4(rpc_listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) return;
  const auto peer = peer_process(fd);
  if (!peer || (peer->uid != 0 && peer->uid != ::geteuid())) return;
  // One connection is all that a migration makes.
  rpc_listener_.reset();
  if (cancelled_) return;
  auto pair = socket_pair();
  if (!pair || !set_nonblocking(fd) || !set_nonblocking(pair->first)) return;
  libvirt_pid_ = peer->pid;
  libvirt_ = RpcLink(std::move(fd));
  peer_ = RpcLink(std::move(pair->first));
  SessionEvent event;
  event.kind = SessionEventKind::channel;
  event.channel = ChannelKind::control;
  event.fd = std::move(pair->second);
  raise(std::move(event));
}

// A single channel libvirtd connects, and hands to QEMU; with bulk channels QEMU
// connects all. Another guest's QEMU runs as the same user: it is not taken.
bool SourceSession::sends_guest(const PeerProcess& peer) const {
  if (peer.uid != 0 && peer.uid != ::geteuid() && peer.uid != folder_.qemu_uid()) return false;
  return peer.pid > 0 && (peer.pid == libvirt_pid_ || peer.pid == qemu_.pid);
}

void SourceSession::accept_qemu() {
  Fd fd(::accept4(data_listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) return;
  const auto peer = peer_process(fd);
  if (!peer || !sends_guest(*peer)) return;
  SessionEvent event;
  event.kind = SessionEventKind::channel;
  // QEMU opens its main channel first.
  event.channel = accepted_ == 0 ? ChannelKind::main : ChannelKind::bulk;
  event.index = accepted_ == 0 ? 0 : accepted_ - 1;
  event.fd = std::move(fd);
  ++accepted_;
  if (accepted_ > bulk_channels_) data_listener_.reset();
  raise(std::move(event));
}

// Before the main channel: the guest's memory follows when the disks are the same.
void SourceSession::accept_disk() {
  Fd fd(::accept4(disk_listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) return;
  const auto peer = peer_process(fd);
  if (!peer || peer->pid != qemu_.pid) return;
  Fd again(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!again.valid()) return;
  SessionEvent event;
  event.kind = SessionEventKind::channel;
  event.channel = ChannelKind::disk;
  event.index = static_cast<std::uint32_t>(disk_ends_.size());
  event.fd = std::move(fd);
  disk_ends_.push_back(std::move(again));
  if (disk_ends_.size() == disks_.size()) disk_listener_.reset();
  raise(std::move(event));
}

// QEMU waits for the other end's answers, and libvirt for QEMU: neither would see that it is over.
void SourceSession::drop_disks() {
  disk_listener_.reset();
  context_->waiting.remove(ref_.domain);
  for (const Fd& end : disk_ends_) hang_up(end);
  disk_ends_.clear();
}

void SourceSession::from_libvirt(const rpc::Message& message) {
  const rpc::Step step = calls_.from_libvirt(message);
  if (step.action == rpc::Action::forward) peer_.send(step.bytes);
  if (step.action == rpc::Action::answer) libvirt_.send(step.bytes);
  if (step.action != rpc::Action::hold) return;
  note_statistics();
  if (cancelled_) return refuse_held("cancelled");
  if (!peer_.is_open()) return refuse_held(peer_loss_);
  raise(SessionEventKind::gate);
}

void SourceSession::from_peer(const rpc::Message& message) {
  if (!peer_.is_open()) return;
  const bool was_loaded = calls_.loaded();
  const auto step = calls_.from_peer(message);
  if (!step) return peer_closed(step.error().message);
  if (calls_.loaded() && !was_loaded) {
    note_statistics();
    return end_copy(step->bytes);
  }
  if (step->action == rpc::Action::forward) libvirt_.send(step->bytes);
}

// libvirt, which has stopped the guest, ends QEMU after this answer, and takes a second over it, in which the guest
// would run nowhere. So QEMU is killed here. Not before libvirt has read that the guest is loaded: it would take it for
// a crash, and give the disks back to their old owners. But stopped before, for whoever hangs up instead of reading may
// let the guest go on: then it does, and what became of it conclude() says.
void SourceSession::end_copy(const std::string& answer) {
  const bool stopped = !starts_by_itself_ && libvirt_.waits() && signal_qemu(qemu_, ProcessSignal::stop).has_value();
  const bool heard = libvirt_.waits();
  libvirt_.send(answer);
  told_ = heard && libvirt_.taken_within(kTakenWait);
  if (!stopped) return;
  if (!told_ || !signal_qemu(qemu_, ProcessSignal::kill)) {
    static_cast<void>(signal_qemu(qemu_, ProcessSignal::go_on));
    return;
  }
  context_->held.told_loaded(ref_.domain);
  done_ = true;
  raise(SessionEventKind::done);
}

// libvirt tells the other libvirt how it went; afterwards the domain is gone.
void SourceSession::note_statistics() {
  const auto number = [this](const char* name) { return rpc::cookie_number(calls_.statistics(), name); };
  TransferProgress progress;
  progress.total = Bytes{number("memory_total") + number("disk_total")};
  progress.transferred = Bytes{number("memory_processed") + number("disk_processed")};
  progress.remaining = Bytes{number("memory_remaining") + number("disk_remaining")};
  progress.dirty_rate = BytesPerSecond{number("memory_dirty_rate") * number("memory_page_size")};
  progress.iteration = static_cast<std::uint32_t>(number("memory_iteration"));
  progress.downtime = Microseconds{number("downtime") * 1000};
  set_progress(progress);
}

Result<Empty> SourceSession::start_post_copy() {
  const std::string operation = "start post-copy of " + about();
  const auto sends = [&]() -> Status {
    if (ended_ || cancelled_ || !calls_.prepared() || calls_.finish() != rpc::FinishState::none)
      return fail(Code::wrong_state, operation + ": it does not send just now");
    return {};
  };
  VMSEC_CHECK(in_pump(sends));
  VMSEC_TRY(const DomainPtr domain, context_->connection->domain(ref_.domain, operation));
  post_copy_ = true;
  if (virDomainMigrateStartPostCopy(domain.get(), 0) != 0) {
    const Error error = virt_error(operation);
    post_copy_ = in_post_copy(domain.get());
    return fail(error);
  }
  // QEMU was asked, and may come to the end of pre-copy first: then libvirt lets a guest go on here that was not
  // loaded. Nor does it look while nobody takes what it sends.
  const auto until = std::chrono::steady_clock::now() + kPostCopyWait;
  for (Status going; going; going = in_pump(sends)) {
    if (in_post_copy(domain.get())) return Empty{};
    if (std::chrono::steady_clock::now() > until)
      return fail(Code::timeout, operation + ": QEMU does not begin it: nobody takes what it sends");
    std::this_thread::sleep_for(kPostCopyPause);
  }
  post_copy_ = in_post_copy(domain.get());
  if (post_copy_) return Empty{};
  return fail(Code::wrong_state, operation + ": all of its memory was sent before");
}

void SourceSession::refuse_held(const std::string& reason) {
  refusal_ = reason;
  const auto refusal = calls_.refuse("the source refused to hand over " + description_.name + ": " + reason);
  peer_.send(refusal.to_peer);
  libvirt_.send(refusal.to_libvirt);
}

void SourceSession::peer_closed(const std::string& why) {
  if (!peer_.is_open()) return;
  peer_.close();
  peer_loss_ = why;
  if (calls_.finish() == rpc::FinishState::held) refuse_held(why);
  calls_.peer_lost();
  switch (calls_.finish()) {
    case rpc::FinishState::in_doubt:
      // Behind its post-copy's begin libvirt does not let it go on, whatever it hears.
      if (post_copy_) return libvirt_.close();
      // libvirt's connection stays open: its end would let the guest go on here,
      // and the destination may have it.
      in_doubt_ = true;
      return raise(SessionEventKind::doubt, why +
                                                " after it was told to load the guest; which of both has it now "
                                                "is not known here");
    case rpc::FinishState::none:
      if (calls_.prepared()) return libvirt_.close();
      // A libvirt that was refused ends by itself, and tells the peer's own reason: its
      // connection stays for its last calls.
      return libvirt_.send(calls_.answer_outstanding());
    case rpc::FinishState::cancelled:
      return libvirt_.close();
    case rpc::FinishState::held:
    case rpc::FinishState::sent:
    case rpc::FinishState::answered:
      return;
  }
}

void SourceSession::libvirt_closed() {
  if (!libvirt_.is_open()) return;
  libvirt_.close();
  if (calls_.finish() == rpc::FinishState::held) refuse_held("libvirt's connection is gone");
  // The peer's answer to Finish still tells whether it has the guest.
  if (calls_.finish() != rpc::FinishState::sent) peer_.close_gently();
}

Result<Empty> SourceSession::decide(const GateDecision& decision) {
  VMSEC_CHECK(in_pump([&]() -> Status {
    if (calls_.finish() != rpc::FinishState::held)
      return fail(Code::wrong_state, "decide " + about() + ": it does not wait at its gate");
    if (decision.proceed)
      peer_.send(calls_.proceed());
    else
      refuse_held(decision.reason);
    return {};
  }));
  return Empty{};
}

Status SourceSession::cancel_in_pump(bool& abort) {
  if (ended_) return {};
  const auto too_late = [&] {
    return fail(Code::wrong_state, "cancel " + about() + ": the destination was told to load the guest already");
  };
  switch (calls_.finish()) {
    case rpc::FinishState::none:
      cancelled_ = true;
      drop_disks();
      abort = calls_.prepared();
      // Before QEMU sends there is no job that could be aborted.
      if (!abort) libvirt_.close(), rpc_listener_.reset();
      return {};
    case rpc::FinishState::held:
      cancelled_ = true;
      refuse_held("cancelled");
      return {};
    case rpc::FinishState::sent:
    case rpc::FinishState::in_doubt:
      return too_late();
    case rpc::FinishState::cancelled:
      return {};
    case rpc::FinishState::answered:
      return calls_.loaded() ? Status(too_late()) : Status();
  }
  return {};
}

Result<Empty> SourceSession::cancel() {
  bool abort = false;
  VMSEC_CHECK(in_pump([&] { return cancel_in_pump(abort); }));
  if (ended_) return Empty{};
  if (!abort) return Empty{};
  const auto domain = context_->connection->domain(ref_.domain, "cancel " + about());
  if (domain && virDomainAbortJob(domain->get()) == 0) return Empty{};
  // Without its connection to the destination libvirt gives up too.
  post([this] {
    if (calls_.finish() == rpc::FinishState::none) libvirt_.close();
  });
  return Empty{};
}

Result<Empty> SourceSession::resolve(Resolution resolution) {
  VMSEC_CHECK(in_pump([&]() -> Status {
    if (calls_.finish() != rpc::FinishState::in_doubt)
      return fail(Code::wrong_state, "resolve " + about() + ": it is not in doubt");
    const bool heard = libvirt_.waits();
    const bool loaded = resolution == Resolution::guest_is_loaded_there;
    libvirt_.send(
        loaded ? calls_.answer_loaded()
               : calls_.answer_failed("the migration of " + description_.name + " was resolved: it goes on here"));
    told_ = loaded && heard && libvirt_.taken_within(kTakenWait);
    return {};
  }));
  if (wait_ended(kEndWait)) return Empty{};
  return fail(Code::timeout, "resolve " + about() + ": libvirt has not ended the migration");
}

Result<Empty> SourceSession::close() {
  if (ended_) return Empty{};
  if (in_doubt_)
    return fail(Code::wrong_state, "close " + about() + ": it is in doubt; reclaim or release the domain first");
  if (const auto cancelled = done_ ? Result<Empty>(Empty{}) : cancel(); !cancelled) {
    if (!post_copy_) return cancelled;
    // Behind its begin libvirt does not let it go on, whatever it hears.
    post([this] { peer_closed("its session is closed"); });
  }
  if (wait_ended(kEndWait)) return Empty{};
  return fail(Code::timeout, "close " + about() + ": libvirt has not ended the migration");
}

void SourceSession::finish(SessionEventKind kind, const std::string& detail) {
  in_doubt_ = false;
  libvirt_.close();
  peer_.close_gently();
  rpc_listener_.reset();
  data_listener_.reset();
  drop_disks();
  if (told_) context_->held.told_loaded(ref_.domain);
  // In doubt nobody else may run it; nor what is left of a copy that was killed, until it is released.
  if (kind != SessionEventKind::doubt && !done_) context_->held.release(ref_.domain);
  end(kind, detail);
}

void SourceSession::conclude(bool succeeded, const std::string& message) {
  // What libvirt makes of a copy that was ended under it does not matter.
  if (done_) return finish(SessionEventKind::none, {});
  const auto here = domain_holding(*context_->connection, ref_.domain);
  if (!here)
    return finish(SessionEventKind::doubt, message + "; and the domain cannot be looked at: " + here.error().message);
  const bool off = !here->present || here->state == DomainState::shut_off;
  if (off && (succeeded || told_)) return finish(SessionEventKind::done, {});
  if (succeeded) return finish(SessionEventKind::doubt, "libvirt says that the guest has moved, but it is still here");
  conclude_failed(*here, message);
}

void SourceSession::conclude_failed(const Holding& here, const std::string& message) {
  std::string why = refusal_.empty() ? message : refusal_;
  if (refusal_.empty() && !peer_loss_.empty()) why += " (" + peer_loss_ + ")";
  if (here.state == DomainState::running || was_paused_) return finish(SessionEventKind::failed, why);
  // libvirt keeps the copy, and never runs it.
  if (post_copy_ || here.state == DomainState::crashed)
    return finish(SessionEventKind::doubt, why + "; the guest stands still here: its post-copy had begun");
  if (here.state != DomainState::paused)
    return finish(SessionEventKind::failed, why + "; the guest is not running here any more");
  const rpc::FinishState state = calls_.finish();
  if (calls_.loaded() || state == rpc::FinishState::sent || state == rpc::FinishState::in_doubt)
    return finish(SessionEventKind::doubt, why + "; the guest is paused here, and the destination may have it");
  // Nobody else has it: what libvirt did not do is done here.
  const Status resumed = run_domain(*context_->connection, ref_.domain, "let the guest go on");
  if (resumed) return finish(SessionEventKind::failed, why);
  finish(SessionEventKind::doubt, why + "; the guest is paused here: " + resumed.error().message);
}

}  // namespace vmsec::kvm
