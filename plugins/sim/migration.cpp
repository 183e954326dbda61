#include "migration.hpp"

#include "incoming.hpp"
#include "outgoing.hpp"

namespace vmsec::sim {

constexpr std::string_view kFormat = "sim-toml";

SimMigration::~SimMigration() {
  for (auto& [id, session] : sessions_) session->close();
}

Status SimMigration::check_call(std::string_view method) {
  VMSEC_CHECK(host_.faults().call("Migration." + std::string(method)));
  if (host_.durable()) return {};
  // Without records a restart could run again what has moved away.
  return fail(Code::unsupported, "migrate on simulated host " + host_.settings().name + ": it has no state folder");
}

Status SimMigration::check_options(const MigrationOptions& options) {
  if (options.bulk_channels <= kBulkMaximum) return {};
  return fail(Code::limit_exceeded, "migrate with " + std::to_string(options.bulk_channels) +
                                        " bulk channels: the simulated hypervisor has " + std::to_string(kBulkMaximum));
}

Result<std::shared_ptr<Session>> SimMigration::find(const Uuid& migration, const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(migration);
  if (found != sessions_.end() && found->second->domain() == domain) return found->second;
  return fail(Code::not_found, "find migration " + migration.text() + " of " + domain.text() + ": it has no session");
}

Status SimMigration::check_new(const Uuid& migration, const Uuid& domain) {
  if (migration.is_nil()) return fail(Code::invalid_argument, "migrate " + domain.text() + ": the migration has no id");
  for (const auto& [id, session] : sessions_) {
    if (id == migration || session->domain() == domain)
      return fail(Code::already_exists, "migrate " + domain.text() + ": migration " + id.text() + " has a session");
  }
  return {};
}

bool SimMigration::busy(const Uuid& domain) {
  for (const auto& [id, session] : sessions_)
    if (session->domain() == domain && !session->ended()) return true;
  return false;
}

Result<DomainDescription> SimMigration::describe(const DomainRef& request) {
  VMSEC_CHECK(check_call("Describe"));
  VMSEC_TRY(const DomainSpec spec, host_.spec(request.domain));
  return DomainDescription{spec.uuid, spec.name, std::string(kFormat), write_domain(spec), spec.memory, spec.vcpus};
}

Result<Empty> SimMigration::start(const StartOutgoing& request) {
  VMSEC_CHECK(check_call("Start"));
  VMSEC_CHECK(check_options(request.options));
  const std::lock_guard lock(mutex_);
  VMSEC_CHECK(check_new(request.migration, request.domain));
  VMSEC_TRY(auto machine, host_.check_outgoing(request.domain));
  VMSEC_TRY(auto spec, host_.spec(request.domain));
  VMSEC_TRY(auto session, Outgoing::start(host_, request, std::move(spec), std::move(machine)));
  sessions_.emplace(request.migration, std::move(session));
  return Empty{};
}

Result<Empty> SimMigration::prepare(const PrepareIncoming& request) {
  VMSEC_CHECK(check_call("Prepare"));
  VMSEC_CHECK(check_options(request.options));
  const auto& description = request.description;
  const std::string what = "prepare for " + request.domain.text();
  if (description.format != kFormat)
    return fail(Code::invalid_argument, what + ": its configuration is no " + std::string(kFormat));
  VMSEC_TRY(auto spec, parse_domain(description.configuration, "configuration"));
  if (spec.uuid != request.domain || description.domain != request.domain || spec.name != description.name ||
      spec.memory != description.memory || spec.vcpus != description.vcpus)
    return fail(Code::invalid_argument, what + ": its description and its configuration differ");
  const std::lock_guard lock(mutex_);
  VMSEC_CHECK(check_new(request.migration, request.domain));
  VMSEC_TRY(auto disks, host_.check_incoming(spec));
  VMSEC_TRY(auto machine, Machine::create(spec, std::move(disks)));
  sessions_.emplace(request.migration, Incoming::start(host_, request, std::move(spec), std::move(machine)));
  return Empty{};
}

Result<ChannelEnd> SimMigration::open(const OpenChannel& request) {
  VMSEC_CHECK(check_call("Open"));
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  return session->open(request);
}

Result<SessionEvent> SimMigration::next(const NextSessionEvent& request) {
  VMSEC_CHECK(check_call("Next"));
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  return session->next(request.wait);
}

Result<Empty> SimMigration::decide(const GateDecision& request) {
  VMSEC_CHECK(check_call("Decide"));
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  VMSEC_CHECK(session->decide(request));
  return Empty{};
}

Result<TransferProgress> SimMigration::progress(const SessionRef& request) {
  VMSEC_CHECK(check_call("Progress"));
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  return session->progress();
}

Result<Empty> SimMigration::cancel(const SessionRef& request) {
  VMSEC_CHECK(check_call("Cancel"));
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  VMSEC_CHECK(session->cancel());
  return Empty{};
}

Result<Empty> SimMigration::close(const SessionRef& request) {
  VMSEC_CHECK(check_call("Close"));
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  // It counts as under way until its engine has ended.
  session->close();
  const std::lock_guard lock(mutex_);
  sessions_.erase(request.migration);
  return Empty{};
}

Result<Holding> SimMigration::holding(const SessionRef& request) {
  VMSEC_CHECK(check_call("Holding"));
  const std::lock_guard lock(mutex_);
  Holding holding = host_.holding(request.domain);
  holding.migrating = busy(request.domain);
  return holding;
}

template <class Act>
Result<Empty> SimMigration::resolve(std::string_view method, const SessionRef& request, Act&& act) {
  VMSEC_CHECK(check_call(method));
  const std::lock_guard lock(mutex_);
  if (busy(request.domain))
    return fail(Code::wrong_state, std::string(method) + " " + request.domain.text() + ": its migration is under way");
  VMSEC_CHECK(act());
  return Empty{};
}

Result<Empty> SimMigration::hold(const SessionRef& request) {
  VMSEC_CHECK(check_call("Hold"));
  VMSEC_CHECK(host_.hold(request.domain));
  return Empty{};
}

Result<Empty> SimMigration::activate(const SessionRef& request) {
  return resolve("Activate", request, [&] { return host_.take_up(request.domain, "activate"); });
}

Result<Empty> SimMigration::discard(const SessionRef& request) {
  return resolve("Discard", request, [&] { return host_.destroy(request.domain, SimHost::Copy::destination); });
}

Result<Empty> SimMigration::reclaim(const SessionRef& request) {
  return resolve("Reclaim", request, [&] { return host_.take_up(request.domain, "reclaim"); });
}

Result<Empty> SimMigration::release(const SessionRef& request) {
  return resolve("Release", request, [&] { return host_.destroy(request.domain, SimHost::Copy::source); });
}

}  // namespace vmsec::sim
