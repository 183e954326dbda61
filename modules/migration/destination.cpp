#include "destination.hpp"

#include "source_options.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

constexpr auto kDiscardPatience = std::chrono::seconds(10);

bool same_host(const PeerContext& a, const PeerContext& b) {
  return a.peer == b.peer && a.peer_certificate == b.peer_certificate;
}

}  // namespace

Status discard_copy(const Context& context, const SessionRef& session) {
  const auto deadline = Clock::now() + kDiscardPatience;
  while (true) {
    auto discarded = context.services.migration->discard(session);
    if (discarded || discarded.error().code == Code::not_found) return {};
    const EndView view = context.view(session.migration, session.domain, Phase::none, false);
    const Copy copy = copy_of(view);
    if (copy == Copy::running || !view.holding_known || Clock::now() > deadline)
      return fail(discarded.error().in("discard the copy of " + session.domain.text()));
    std::this_thread::sleep_for(std::chrono::microseconds(kEventWait.value));
  }
}

Status check_prepare(const Policy& policy, const PeerContext& from, const PrepareRequest& request) {
  const DomainDescription& description = request.description;
  if (request.version != kProtocolVersion)
    return fail(Code::unsupported,
                "protocol version " + std::to_string(request.version) + ": want " + std::to_string(kProtocolVersion));
  if (request.migration.is_nil() || description.domain.is_nil())
    return fail(Code::invalid_argument, "a migration or a domain without an id");
  if (from.peer == from.local) return fail(Code::denied, "a host does not migrate to itself");
  if (request.secret.size() != kSecretSize)
    return fail(Code::invalid_argument, "the migration's secret has not 32 bytes");
  if (description.name.size() > kMaximumName || description.format.size() > kMaximumName)
    return fail(Code::limit_exceeded, "the domain's name or format is beyond 256 bytes");
  if (description.configuration.size() > kMaximumConfiguration)
    return fail(Code::limit_exceeded, "the domain's configuration is beyond 1 MiB");
  if (request.epoch > kMaximumEpoch) return fail(Code::invalid_argument, "an epoch beyond 2^48");
  if (!is_stream_cipher(request.cipher)) return fail(Code::invalid_argument, "an unknown cipher");
  if (request.suite != policy.suite)
    return fail(Code::denied, "suite " + std::string(to_string(request.suite)) +
                                  ": this host's configuration wants suite " + std::string(to_string(policy.suite)));
  VMSEC_CHECK(check_suite(request.suite, request.cipher));
  if (request.options.post_copy) VMSEC_CHECK(check_post_copy(policy));
  if (request.options.recover && !request.options.post_copy)
    return fail(Code::invalid_argument, "only a post-copy is taken up");
  if (request.options.post_copy && request.options.copy_disks)
    return fail(Code::invalid_argument, "post-copy and copies of disks do not go together");
  if (request.cipher != Cipher::none) return {};
  if (policy.encryption != EncryptionPolicy::allow_none)
    return fail(Code::denied, "cipher none: this host's configuration requires encryption");
  if (request.encryption != EncryptionPolicy::allow_none)
    return fail(Code::denied, "cipher none: the source's configuration does not allow it");
  return {};
}

Status spend_ticket(const Context& context, const PeerContext& from, const PrepareRequest& request) {
  VMSEC_TRY(const std::string digest, sha256(request.description.configuration));
  VMSEC_TRY(std::ignore, context.services.authority->spend(
                             {request.ticket, request.description.domain, digest, from.connection, false}));
  return {};
}

Destination::Destination(Context& context, PeerContext from, PrepareRequest request)
    : context_(context), from_(std::move(from)), request_(std::move(request)) {
  // COMMIT is on record, so that it gives up nothing any more.
  announced_ = commit_heard_ = follows_ = recovers();
  if (recovers()) committed_ = Clock::now();
  if (recovers()) board_ = context_.boards.find(request_.migration);
  if (board_) {
    board_->reopen();
    return;
  }
  MigrationStatus status;
  status.migration = request_.migration;
  status.domain = request_.description.domain;
  status.name = request_.description.name;
  status.peer = from_.peer;
  status.state = MigrationState::preparing;
  status.cipher = implementation_of(request_.suite, {request_.cipher, context_.policy.accelerator});
  status.attested = "nobody: attestation is the source's to ask for";
  board_ = context_.boards.add(std::move(status));
}

Destination::~Destination() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  streams_.stop();
  wipe(request_.secret);
}

Phase Destination::phase() const {
  const auto record = context_.ledger.find(request_.migration, Side::destination);
  return record ? record->phase : Phase::none;
}

// Nothing is written: what is on record stands, whatever becomes of this.
Result<PrepareReply> Destination::take_up() {
  const std::string what = "migration " + migration().text();
  // What the session that broke has left open.
  std::ignore = context_.services.migration->close(session());
  Status prepared = context_.audit("migration.recover", Outcome::succeeded, domain(), from_.peer, what);
  if (prepared)
    if (auto taken =
            context_.services.migration->prepare({migration(), domain(), request_.description, request_.options});
        !taken)
      prepared = fail(taken.error());
  if (!prepared) {
    std::ignore = context_.audit("migration.recover", Outcome::failed, domain(), from_.peer,
                                 what + ": " + prepared.error().message);
    finished_ = true;
    if (const auto record = context_.ledger.find(migration(), Side::destination)) board_->settle(*record);
    return fail(prepared.error());
  }
  board_->update([](MigrationStatus& status) { status.state = MigrationState::following; });
  thread_ = std::thread(&Destination::run, this);
  return PrepareReply{kProtocolVersion, request_.cipher, context_.policy.encryption, request_.suite};
}

Result<PrepareReply> Destination::prepare() {
  if (recovers()) return take_up();
  const auto refuse = [&](const Error& cause) {
    std::ignore = context_.audit("migration.accept", Outcome::refused, domain(), from_.peer,
                                 "migration " + migration().text() + ": " + cause.message);
    finished_ = true;
    board_->end(MigrationState::failed, cause);
    return fail(cause);
  };
  OwnershipRecord record{migration(), Side::destination,         Phase::prepared,
                         domain(),    request_.description.name, from_.peer};
  record.cipher = implementation_of(request_.suite, {request_.cipher, context_.policy.accelerator});
  record.algorithm = request_.cipher;
  record.epoch = request_.epoch;
  // Before the hypervisor does anything: what a crash leaves behind is then known.
  if (Status begun = context_.ledger.begin(std::move(record)); !begun) return refuse(begun.error());
  auto prepared = context_.services.migration->prepare({migration(), domain(), request_.description, request_.options});
  if (!prepared) {
    std::ignore = context_.ledger.advance(migration(), Side::destination, Phase::destination_aborted,
                                          prepared.error().message, prepared.error().code);
    std::ignore = context_.ledger.advance(migration(), Side::destination, Phase::discarded, "nothing was prepared");
    return refuse(prepared.error());
  }
  board_->update([](MigrationStatus& status) { status.state = MigrationState::transferring; });
  thread_ = std::thread(&Destination::run, this);
  return PrepareReply{kProtocolVersion, request_.cipher, context_.policy.encryption, request_.suite};
}

Status Destination::check_join(const PeerContext& from, const JoinRequest& request, const StreamName& name) const {
  // One answer for whoever lacks the secret, whatever else is wrong.
  VMSEC_TRY(const std::string proof, join_proof(request_.secret, name));
  if (!same_host(from, from_) || name.source_nonce.size() != kNonceSize || !equal_secrets(proof, request.proof))
    return fail(Code::unauthenticated, "it does not prove that it belongs to the migration");
  if (name.ordinal != joined_.size() + 1)
    return fail(Code::wrong_state, "it comes as number " + std::to_string(name.ordinal) + ": number " +
                                       std::to_string(joined_.size() + 1) + " is next");
  if (name.ordinal > context_.policy.max_streams)
    return fail(Code::limit_exceeded, "more than " + std::to_string(context_.policy.max_streams) + " streams");
  if (name.kind < ChannelKind::control || name.kind > ChannelKind::urgent)
    return fail(Code::invalid_argument, "unknown kind of channel");
  if (joined_.contains({name.kind, name.index})) return fail(Code::already_exists, "this stream is here already");
  const std::lock_guard lock(mutex_);
  if (switching_ || decided_ || cause_ || finished_) return fail(Code::wrong_state, "no more streams are wanted");
  return {};
}

Result<JoinReply> Destination::join(const PeerContext& from, const JoinRequest& request) {
  const std::lock_guard lock(joining_);
  StreamName name{request.migration, request.kind, request.index, request.ordinal, request.nonce, request_.suite};
  const std::string what = "join stream " + to_string(name);
  if (Status good = check_join(from, request, name); !good) {
    std::ignore = context_.audit("migration.join", Outcome::refused, domain(), from.peer,
                                 "migration " + migration().text() + ": " + what + ": " + good.error().message);
    return fail(good.error().in(what));
  }
  VMSEC_TRY(std::string nonce, random_bytes(kNonceSize));
  // The hypervisor has it before the source opens the next: main must come before bulk.
  auto opened = context_.services.migration->open({migration(), domain(), name.kind, name.index});
  if (!opened) return fail(opened.error().in(what));
  joined_.insert({name.kind, name.index});
  const std::uint32_t ordinal = name.ordinal;
  pending_[ordinal] = {std::move(name), nonce, std::move(opened->fd)};
  return JoinReply{std::move(nonce)};
}

Status Destination::stream_ready(const PeerContext& from, const JoinRequest& request, StreamEnd stream) {
  std::unique_lock lock(joining_);
  auto pending = pending_.extract(request.ordinal);
  lock.unlock();
  if (pending.empty() || !same_host(from, from_))
    return fail(Code::not_found, "a stream is ready that was not admitted");
  Pending& admitted = pending.mapped();
  StreamEnds ends{std::move(admitted.hypervisor), std::move(stream.fd), {}, {}};
  VMSEC_TRY(ends.open_secret, stream_secret(request_.secret, stream.receive_secret, admitted.name, admitted.nonce,
                                            Direction::to_destination, request_.cipher));
  VMSEC_TRY(ends.seal_secret, stream_secret(request_.secret, stream.send_secret, admitted.name, admitted.nonce,
                                            Direction::to_source, request_.cipher));
  return streams_.add(std::move(admitted.name), {request_.cipher, context_.policy.accelerator}, std::move(ends));
}

void Destination::disconnected(std::uint64_t connection) {
  if (connection != from_.connection) return;
  const std::lock_guard lock(mutex_);
  disconnected_ = true;
  changed_.notify_all();
}

// COMMIT comes next, and the gate does not look at the source again.
Status Destination::announced() {
  Status good = check_source();
  const std::lock_guard lock(mutex_);
  announced_ = good.has_value();
  if (!good && !cause_) cause_ = good.error();
  changed_.notify_all();
  return good;
}

Status Destination::switch_over(const PeerContext& from, const SwitchRequest& request) {
  if (!same_host(from, from_) || from.connection != from_.connection) {
    const std::string cause = "switch over: not the migration's own connection";
    std::ignore = context_.audit("migration.switch", Outcome::refused, domain(), from.peer,
                                 "migration " + migration().text() + ": " + cause);
    return fail(Code::denied, cause);
  }
  {
    const std::lock_guard lock(mutex_);
    // A guest may come to its end after post-copy was announced, and before it began: then a manifest follows.
    const bool again = recovers() || (switching_ && (!announced_ || commit_heard_ || request.post_copy));
    if (again || decided_ || cause_) return fail(Code::wrong_state, "switch over: asked twice, or given up");
    if (request.post_copy && !request_.options.post_copy) {
      cause_ = Error{Code::denied, "switch over: post-copy was not asked for when this host prepared", 0, {}};
      std::ignore = context_.audit("migration.switch", Outcome::refused, domain(), from.peer,
                                   "migration " + migration().text() + ": " + cause_->message);
      return fail(*cause_);
    }
    switching_ = true;
    announced_ = false;
  }
  board_->update([](MigrationStatus& status) { status.state = MigrationState::switching; });
  if (request.post_copy) return announced();
  Status good = streams_.verify(request.manifest, Clock::now() + context_.policy.switch_timeout);
  if (good)
    good = context_.audit("migration.manifest", Outcome::succeeded, domain(), from.peer,
                          "migration " + migration().text() + ": " + std::to_string(request.manifest.size()) +
                              " streams as the source says");
  const std::lock_guard lock(mutex_);
  verified_ = good.has_value();
  if (!good && !cause_) cause_ = good.error();
  changed_.notify_all();
  return good;
}

}  // namespace vmsec::migration
