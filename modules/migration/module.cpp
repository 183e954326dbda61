#include "module.hpp"

#include <algorithm>

#include "bandwidth.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

// The most that a request may be, looked at before it is decoded: what a peer sends
// decides how much memory is taken for it.
std::size_t limit_of(Call method, const Policy& policy) {
  constexpr std::size_t kSmall = 8192;
  constexpr std::size_t kFlushPointAtMost = 128;
  switch (method) {
    case Call::prepare:
      return kMaximumConfiguration + (std::size_t{64} << 10);
    case Call::switch_over:
      return kFlushPointAtMost * (std::size_t{1} + policy.max_streams);
    default:
      return kSmall;
  }
}

template <class Request, class Handle>
Result<PeerReply> answer(const IncomingCall& call, Handle&& handle) {
  VMSEC_TRY(Request request, wire::decode<Request>(call.payload));
  auto reply = handle(std::move(request));
  if (!reply) return fail(std::move(reply).error());
  return PeerReply{wire::encode(*reply)};
}

}  // namespace

MigrationModule::MigrationModule(std::unique_ptr<Context> context)
    : context_(std::move(context)),
      sessions_(*context_),
      resolver_(*context_, sessions_),
      left_over_(resolver_),
      migrator_(*this),
      handler_(*this) {}

Result<std::unique_ptr<MigrationModule>> MigrationModule::create(const HostLink& host, const Settings& settings) {
  Services services;
  VMSEC_TRY(services.migration, host.open<Migration>());
  VMSEC_TRY(services.domains, host.open<DomainControl>());
  VMSEC_TRY(services.peers, host.open<Peers>());
  VMSEC_TRY(services.authority, host.open<Authority>());
  VMSEC_TRY(services.records, host.open<Records>());
  VMSEC_TRY(services.journal, host.open<Journal>());
  VMSEC_TRY(services.modules, host.open<Modules>());
  return create(std::move(services), settings);
}

Result<std::unique_ptr<MigrationModule>> MigrationModule::create(Services services, const Settings& settings) {
  VMSEC_TRY(const Policy policy, read_policy(settings));
  VMSEC_CHECK(check_accelerator(policy.accelerator));
  auto context = std::make_unique<Context>(std::move(services), policy);
  VMSEC_CHECK(context->ledger.load());
  std::unique_ptr<MigrationModule> module(new MigrationModule(std::move(context)));
  const std::vector<OwnershipRecord> records = module->context_->ledger.all();
  for (const OwnershipRecord& record : records) module->context_->boards.add(record);
  module->left_over_.begin(records);
  return module;
}

Result<Endpoint*> MigrationModule::endpoint(std::string_view name) {
  for (Endpoint* each : {static_cast<Endpoint*>(&migrator_), static_cast<Endpoint*>(&handler_)})
    if (each->interface_name() == name) return each;
  return fail(Code::not_found, "the migration module does not provide " + std::string(name));
}

// ---- for operators ---------------------------------------------------------------

Result<MigrationStatus> MigrationModule::migrate(const MigrateRequest& request) {
  const std::string what = "migrate " + request.domain.text() + " to " + units::quoted(request.destination);
  VMSEC_TRY(const DomainInfo domain, context_->services.domains->get({request.domain}));
  auto board = sessions_.start_source(request);
  if (!board) return fail(board.error().in(what));
  (*board)->update([&](MigrationStatus& status) {
    if (status.name.empty()) status.name = domain.name;  // an early refusal names the VM too
  });
  return (*board)->status();
}

Result<MigrationStatus> MigrationModule::status(const MigrationRef& reference) {
  const auto board = context_->boards.find(reference.migration);
  if (!board) return fail(Code::not_found, "migration " + reference.migration.text() + " is not known here");
  return board->wait(reference.wait);
}

Result<MigrationList> MigrationModule::list(const Empty&) { return MigrationList{context_->boards.list()}; }

std::vector<OwnershipRecord> MigrationModule::unfinished(const Uuid& migration) const {
  std::vector<OwnershipRecord> out;
  for (OwnershipRecord& record : context_->ledger.all()) {
    // A lost one is looked at again only when it is named.
    const bool wanted = migration.is_nil() ? !is_final(record.phase) : record.migration == migration;
    if (wanted) out.push_back(std::move(record));
  }
  return out;
}

// An operator's word about a host is only heard where it can decide something.
Status MigrationModule::check_fenced(const std::string& host, const std::vector<OwnershipRecord>& records) const {
  if (std::ranges::find(records, host, &OwnershipRecord::peer) != records.end()) return {};
  const std::string cause = "no migration that is to be resolved has this host at its other end";
  VMSEC_CHECK(context_->audit("migration.fenced", Outcome::refused, {}, host, cause));
  return fail(Code::not_found, "resolve --fenced " + units::quoted(host) + ": " + cause);
}

Result<MigrationList> MigrationModule::resolve(const ResolveMigration& request) {
  const auto records = unfinished(request.migration);
  if (records.empty() && !request.migration.is_nil())
    return fail(Code::not_found, "resolve migration " + request.migration.text() + ": it is not on record here");
  if (!request.fenced.empty()) VMSEC_CHECK(check_fenced(request.fenced, records));
  MigrationList out;
  // One that has committed is taken for lost by that word: its id must be given, as its guest may long run elsewhere.
  for (const OwnershipRecord& record : records) {
    const bool heard = !request.migration.is_nil() || record.phase != Phase::source_committed;
    out.migrations.push_back(resolver_.resolve(record, heard ? request.fenced : std::string()));
  }
  return out;
}

Result<MigrationStatus> MigrationModule::abort(const MigrationRef& reference) {
  const auto source = sessions_.source(reference.migration);
  if (!source) {
    const auto board = context_->boards.find(reference.migration);
    if (!board) return fail(Code::not_found, "migration " + reference.migration.text() + " is not known here");
    return fail(Code::wrong_state,
                "abort migration " + reference.migration.text() + ": it is not under way as an outgoing one");
  }
  VMSEC_CHECK(context_->audit("migration.abort", Outcome::unknown, source->domain(), {},
                              "migration " + reference.migration.text() + ": asked for"));
  VMSEC_CHECK(source->abort());
  return source->board()->wait(reference.wait);
}

Result<MigrationStatus> MigrationModule::set(const SetMigration& request) {
  const std::string what = "set the migration of " + request.domain.text();
  if (Status good = check_bandwidth(request.bandwidth); !good) return fail(good.error().in(what));
  const auto source = sessions_.source_of(request.domain);
  if (!source) return fail(Code::not_found, what + ": none is under way from this host");
  VMSEC_CHECK(
      context_->audit("migration.set", Outcome::succeeded, request.domain, source->board()->status().peer,
                      "migration " + source->migration().text() + ": bandwidth " + bandwidth_text(request.bandwidth)));
  VMSEC_CHECK(source->limit(request.bandwidth));
  return source->board()->status();
}

Result<MigrationStatus> MigrationModule::recover(const MigrationRef& reference) {
  VMSEC_TRY(const auto board, resolver_.recover(reference.migration));
  return board->status();
}

// ---- for the other host's agent ----------------------------------------------------

Result<PeerReply> MigrationModule::incoming_call(const IncomingCall& call) {
  const PeerContext& from = call.from;
  const std::size_t limit = limit_of(static_cast<Call>(call.method), context_->policy);
  if (call.payload.size() > limit)
    return fail(Code::limit_exceeded, "request " + std::to_string(call.method) + " of " +
                                          std::to_string(call.payload.size()) + " bytes: at most " +
                                          std::to_string(limit) + " are allowed");
  switch (static_cast<Call>(call.method)) {
    case Call::prepare:
      return answer<PrepareRequest>(call, [&](PrepareRequest request) {
        if (request.options.recover) return resolver_.take_up(from, std::move(request));
        return sessions_.start_destination(from, std::move(request));
      });
    case Call::switch_over:
      return answer<SwitchRequest>(call, [&](const SwitchRequest& request) -> Result<Empty> {
        const auto session = sessions_.destination(request.migration);
        if (!session) return fail(Code::not_found, "switch over: no such migration is under way here");
        VMSEC_CHECK(session->switch_over(from, request));
        return Empty{};
      });
    case Call::commit:
      return answer<DecisionRequest>(call,
                                     [&](const DecisionRequest& request) { return resolver_.commit(from, request); });
    case Call::abort:
      return answer<DecisionRequest>(call,
                                     [&](const DecisionRequest& request) { return resolver_.abort(from, request); });
    case Call::query:
      return answer<DecisionRequest>(call,
                                     [&](const DecisionRequest& request) { return resolver_.query(from, request); });
    case Call::resolve:
      return answer<ResolveRequest>(
          call, [&](const ResolveRequest& request) { return resolver_.resolve_for(from, request); });
  }
  return fail(Code::unsupported, "the migration module has no call " + std::to_string(call.method));
}

Result<PeerReply> MigrationModule::incoming_stream(const IncomingStream& stream) {
  VMSEC_TRY(const JoinRequest request, wire::decode<JoinRequest>(stream.payload));
  const auto session = sessions_.destination(request.migration);
  if (!session) return fail(Code::unauthenticated, "join a stream: it belongs to no migration that is under way");
  VMSEC_TRY(const JoinReply reply, session->join(stream.from, request));
  return PeerReply{wire::encode(reply)};
}

Result<Empty> MigrationModule::stream_ready(const StreamReady& ready) {
  VMSEC_TRY(const JoinRequest request, wire::decode<JoinRequest>(ready.payload));
  const auto session = sessions_.destination(request.migration);
  if (!session) return fail(Code::not_found, "a stream is ready whose migration is over");
  VMSEC_TRY(Fd fd, ready.stream.fd.duplicate());
  VMSEC_CHECK(session->stream_ready(
      ready.from, request,
      {std::move(fd), ready.stream.send_secret, ready.stream.receive_secret, ready.stream.payload}));
  return Empty{};
}

Result<Empty> MigrationModule::disconnected(const PeerContext& peer) {
  for (const auto& session : sessions_.destinations()) session->disconnected(peer.connection);
  return Empty{};
}

}  // namespace vmsec::migration
