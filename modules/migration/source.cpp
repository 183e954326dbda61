#include "source.hpp"

#include <algorithm>

#include "bulk_channels.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

// How long a cancelled or broken session may take to say how it ended.
constexpr auto kLastWords = std::chrono::seconds(30);
// Evidence is renewed when the rest of the guest may be gone within this time.
constexpr std::uint64_t kNearTheEnd = 3;

// What stays behind must be said: the destination has to have it.
std::string disks_text(const std::vector<DescribedDisk>& disks) {
  std::string text;
  for (const DescribedDisk& disk : disks)
    text += (text.empty() ? "" : "; ") + disk.target + (disk.stays.empty() ? " copied" : " not: " + disk.stays);
  return text.empty() ? "none" : text;
}

}  // namespace

Source::Source(Context& context, MigrateRequest request, SourceOptions options, Uuid migration, std::string secret)
    : context_(context),
      request_(std::move(request)),
      options_(options),
      migration_(migration),
      secret_(std::move(secret)) {
  if (recovers()) {
    take_up();
    return;
  }
  MigrationStatus status;
  status.migration = migration_;
  status.domain = request_.domain;
  status.outgoing = true;
  status.peer = request_.destination;
  status.state = MigrationState::preparing;
  status.attested = "nobody: not asked yet";
  board_ = context_.boards.add(std::move(status));
  std::ignore = limit(options_.bandwidth);
}

Result<std::unique_ptr<Source>> Source::start(Context& context, MigrateRequest request) {
  VMSEC_TRY(SourceOptions options, source_options(context.policy, request));
  VMSEC_TRY(const Uuid migration, random_uuid());
  VMSEC_TRY(std::string secret, random_bytes(kSecretSize));
  std::unique_ptr<Source> source(
      new Source(context, std::move(request), std::move(options), migration, std::move(secret)));
  source->thread_ = std::thread(&Source::run, source.get());
  return source;
}

// It has its record and its board; its guest runs at the destination.
void Source::take_up() {
  board_ = context_.boards.find(migration_);
  if (!board_) board_ = context_.boards.add(*context_.ledger.find(migration_, Side::source));
  board_->reopen();
  recorded_ = announced_ = post_copy_ = true;
  stage_ = Stage::proceeding;
  lift_limit();
}

Result<std::unique_ptr<Source>> Source::recover(Context& context, const OwnershipRecord& record) {
  VMSEC_CHECK(check_post_copy(context.policy));
  MigrateRequest request;
  request.domain = record.domain;
  request.destination = record.peer;
  request.cipher = record.algorithm;
  request.options.post_copy = request.options.recover = true;
  SourceOptions options;
  options.hypervisor = request.options;
  VMSEC_TRY(std::string secret, random_bytes(kSecretSize));
  std::unique_ptr<Source> source(
      new Source(context, std::move(request), std::move(options), record.migration, std::move(secret)));
  source->thread_ = std::thread(&Source::run, source.get());
  return source;
}

Source::~Source() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  streams_.stop();
  wipe(secret_);
}

Status Source::abort() {
  // First the request, then the look: check_gate() does the opposite, so one of the two sees the other.
  abort_requested_ = true;
  if (stage_ == Stage::proceeding || finished_)
    return fail(Code::wrong_state,
                "abort migration " + migration_.text() + ": it is past the point of return, or over");
  return {};
}

Status Source::limit(BytesPerSecond bandwidth) {
  const std::lock_guard lock(limiting_);
  if (limit_lifted_)
    return fail(Code::wrong_state, "limit migration " + migration_.text() + ": it is being switched over");
  streams_.limit(bandwidth);
  board_->update([&](MigrationStatus& status) {
    status.bandwidth = bandwidth == kUnlimitedBandwidth ? BytesPerSecond{} : bandwidth;
  });
  return {};
}

void Source::lift_limit() {
  const std::lock_guard lock(limiting_);
  limit_lifted_ = true;
  streams_.limit(kUnlimitedBandwidth);
}

void Source::run() {
  if (Status prepared = prepare(); !prepared)
    end_failed(prepared.error());
  else
    follow();
}

Status Source::check_cipher() {
  cipher_ = request_.cipher == Cipher::policy ? context_.policy.cipher : request_.cipher;
  if (!is_stream_cipher(cipher_))
    return fail(Code::invalid_argument,
                "cipher " + std::to_string(static_cast<std::uint32_t>(cipher_)) + " is unknown");
  if (cipher_ == Cipher::none && context_.policy.encryption != EncryptionPolicy::allow_none)
    return fail(Code::denied, "cipher none: this host's configuration requires encryption");
  VMSEC_CHECK(check_suite(context_.policy.suite, cipher_));
  board_->update([&](MigrationStatus& status) { status.cipher = implementation(); });
  return {};
}

std::string Source::implementation() const {
  return implementation_of(context_.policy.suite, {cipher_, context_.policy.accelerator});
}

Status Source::spend_ticket() {
  VMSEC_TRY(const std::string digest, sha256(description_.configuration));
  VMSEC_TRY(std::ignore,
            context_.services.authority->spend({request_.ticket, request_.domain, digest, peer_.connection, true}));
  return {};
}

Status Source::ask_destination() {
  asked_ = true;
  const auto record = context_.ledger.find(migration_, Side::source);
  auto reply = context_.call<PrepareReply>(
      peer_.connection, Call::prepare,
      PrepareRequest{kProtocolVersion, migration_, request_.ticket, description_, options_.hypervisor, cipher_,
                     context_.policy.encryption, secret_, record ? std::min(record->epoch, kMaximumEpoch) : 0,
                     context_.policy.suite},
      context_.policy.call_timeout);
  if (!reply) return fail(reply.error().in(peer_.peer + " refuses"));
  if (reply->version != kProtocolVersion || reply->cipher != cipher_ || reply->suite != context_.policy.suite)
    return fail(Code::denied, peer_.peer + " answers with another version, cipher or suite than was asked for");
  if (cipher_ == Cipher::none && reply->encryption != EncryptionPolicy::allow_none)
    return fail(Code::denied, "cipher none: " + peer_.peer + " requires encryption");
  return {};
}

Status Source::begin_session() {
  // What is taken up sends before its gate.
  if (recovers()) VMSEC_CHECK(check_destination());
  VMSEC_TRY(std::ignore, context_.services.migration->start({migration_, request_.domain, options_.hypervisor}));
  session_open_ = true;
  if (recovers()) deadline_ = Clock::now() + context_.policy.switch_timeout;
  board_->update([&](MigrationStatus& status) {
    status.state = recovers() ? MigrationState::following : MigrationState::transferring;
  });
  return {};
}

Status Source::prepare() {
  VMSEC_CHECK(check_cipher());
  VMSEC_TRY(description_, context_.services.migration->describe({request_.domain}));
  if (description_.domain != request_.domain)
    return fail(Code::internal, "the hypervisor describes another domain than was asked for");
  options_.hypervisor.bulk_channels = bulk_channels(context_.policy, request_, description_, usable_cpus());
  board_->update([&](MigrationStatus& status) {
    status.name = description_.name;
    if (request_.options.copy_disks) status.disks = disks_text(description_.disks);
  });
  VMSEC_TRY(peer_, context_.services.peers->connect({request_.destination}));
  connected_ = true;
  evidence_ = std::make_unique<Evidence>(context_, peer_);
  const Status proven = evidence_->obtain();
  board_->update([&](MigrationStatus& status) { status.attested = evidence_->text(); });
  VMSEC_CHECK(proven);
  // What is taken up has spent its ticket.
  if (!recovers()) VMSEC_CHECK(put_on_record());
  VMSEC_CHECK(ask_destination());
  if ((abort_requested_ && !recovers()) || stopping_) return fail(Code::cancelled, "aborted on request");
  evidence_->keep();
  return begin_session();
}

Status Source::put_on_record() {
  VMSEC_CHECK(spend_ticket());
  OwnershipRecord record{migration_, Side::source, Phase::started, request_.domain, description_.name, peer_.peer};
  record.cipher = implementation();
  record.algorithm = cipher_;
  record.attested = evidence_->text();
  VMSEC_CHECK(context_.ledger.begin(std::move(record)));
  recorded_ = true;
  return {};
}

void Source::follow() {
  Clock::time_point answered = Clock::now();
  while (true) {
    auto event = context_.services.migration->next({migration_, request_.domain, kEventWait});
    if (event) {
      answered = Clock::now();
      if (!handle(std::move(*event))) return;
    } else if (stopping_ || Clock::now() - answered > std::chrono::seconds(5)) {
      return end_in_doubt(event.error().in("the hypervisor does not answer"));
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(kEventWait.value));
    }
    if (must_stop())
      return end_in_doubt(Error{Code::in_doubt, "this agent stops in the middle of the switch-over", 0, {}});
    look_around();
    if (deadline_ && Clock::now() > *deadline_)
      return end_in_doubt(cause_.value_or(Error{Code::timeout, "the hypervisor does not say how it ended", 0, {}}));
  }
}

// A guest whose memory follows is lost without this agent: it has some time for the rest.
bool Source::must_stop() {
  if (!stopping_ || stage_ != Stage::proceeding) return false;
  if (!post_copy_) return true;
  if (!stop_by_) stop_by_ = Clock::now() + context_.policy.switch_timeout;
  return Clock::now() > *stop_by_;
}

bool Source::handle(SessionEvent event) {
  if (event.kind != SessionEventKind::none) last_progress_ = Clock::now();
  switch (event.kind) {
    case SessionEventKind::none:
      return true;
    case SessionEventKind::channel:
      if (Status opened = open_stream(std::move(event)); !opened) cancel(opened.error());
      return true;
    case SessionEventKind::gate:
      pass_gate();
      return true;
    case SessionEventKind::done:
      commit();
      return false;
    case SessionEventKind::failed:
      end_failed(cause_.value_or(Error{Code::unavailable, "the hypervisor gave up: " + event.detail, 0, {}}));
      return false;
    case SessionEventKind::refused:
      std::ignore = context_.audit("migration.rpc", Outcome::refused, request_.domain, peer_.peer, event.detail);
      return true;
    case SessionEventKind::doubt:
      end_doubtful(event.detail);
      return false;
  }
  return true;
}

// What may make us give up while nothing comes from the hypervisor.
void Source::look_around() {
  show_progress();
  const StreamTotals totals = streams_.totals();
  if (totals.progress != seen_progress_) {
    seen_progress_ = totals.progress;
    last_progress_ = Clock::now();
    // Its memory may take as long as it takes to follow.
    if (post_copy_ && deadline_ && !cause_) deadline_ = last_progress_ + context_.policy.switch_timeout;
  }
  if (cause_ || stage_ == Stage::proceeding) return;
  if (abort_requested_) return cancel(Error{Code::cancelled, "aborted on request", 0, {}});
  if (stopping_) return cancel(Error{Code::cancelled, "this agent stops", 0, {}});
  if (auto broken = streams_.failure()) return cancel(*broken);
  if (auto refuted = evidence_->refuted()) return cancel(*refuted);
  if (auto late = overtime()) return cancel(*late);
  if (wants_post_copy()) return begin_post_copy();
  if (Clock::now() - last_progress_ > context_.policy.stall_timeout)
    cancel(Error{
        Code::timeout,
        "nothing moved for " + to_text(Microseconds{static_cast<std::uint64_t>(context_.policy.stall_timeout.count())}),
        0,
        {}});
}

std::optional<Error> Source::overtime() const {
  const Microseconds most = options_.maximum_time;
  if (most.value == 0 || Clock::now() - began_ <= std::chrono::microseconds(most.value)) return std::nullopt;
  return Error{Code::timeout, "the switch-over could not begin within the maximum time, " + to_text(most), 0, {}};
}

void Source::cancel(const Error& cause) {
  if (cause_) return;
  cause_ = cause;
  deadline_ = Clock::now() + kLastWords;
  if (auto cancelled = context_.services.migration->cancel(session()); !cancelled)
    context_.log(LogLevel::warning, "cancel migration " + migration_.text() + ": " + cancelled.error().message);
}

void Source::show_progress() {
  board_->measure(streams_.totals(), streams_.count());
  auto progress = context_.services.migration->progress(session());
  if (!progress) return;
  passes_ = progress->iteration;
  board_->update([&](MigrationStatus& status) {
    const Microseconds downtime = status.transfer.downtime;
    status.transfer = *progress;
    if (progress->downtime.value == 0) status.transfer.downtime = downtime;
    status.attested = evidence_->text();
  });
  // The rate so far is what the rest will take.
  const auto elapsed = board_->status().total_time.value / 1'000'000 + 1;
  const auto rate = progress->transferred.value / elapsed;
  if (progress->transferred.value > 0 && progress->remaining.value <= rate * kNearTheEnd) evidence_->hurry();
}

Status Source::open_stream(SessionEvent event) {
  StreamName name{migration_, event.channel, event.index, ordinal_ + 1, {}, context_.policy.suite};
  const std::string what = "open stream " + to_string(name);
  if (name.ordinal > context_.policy.max_streams)
    return fail(Code::limit_exceeded, what + ": more than " + std::to_string(context_.policy.max_streams) + " streams");
  if (!event.fd.valid()) return fail(Code::internal, what + ": the hypervisor gave no descriptor");
  VMSEC_TRY(name.source_nonce, random_bytes(kNonceSize));
  VMSEC_TRY(std::string proof, join_proof(secret_, name));
  auto opened = context_.services.peers->open_stream(
      {peer_.connection, wire::encode(JoinRequest{migration_, name.kind, name.index, name.ordinal, name.source_nonce,
                                                  std::move(proof)})});
  if (!opened) return fail(opened.error().in(what));
  VMSEC_TRY(const JoinReply reply, wire::decode<JoinReply>(opened->payload));
  if (reply.nonce.size() != kNonceSize) return fail(Code::unauthenticated, what + ": the answer has no nonce");
  StreamEnds ends{std::move(event.fd), std::move(opened->fd), {}, {}};
  VMSEC_TRY(ends.seal_secret,
            stream_secret(secret_, opened->send_secret, name, reply.nonce, Direction::to_destination, cipher_));
  VMSEC_TRY(ends.open_secret,
            stream_secret(secret_, opened->receive_secret, name, reply.nonce, Direction::to_source, cipher_));
  ordinal_ = name.ordinal;
  return streams_.add(std::move(name), {cipher_, context_.policy.accelerator}, std::move(ends));
}

}  // namespace vmsec::migration
