#include "migration.hpp"

#include "incoming.hpp"
#include "outgoing.hpp"

namespace vmsec::sim {

constexpr std::string_view kFormat = "sim-toml";

Status SimMigration::check_call(std::string_view method) {
  VMSEC_CHECK(host_.faults().call("Migration." + std::string(method)));
  if (host_.durable()) return {};
  // Without records a restart could run again what has moved away.
  return fail(Code::unsupported, "migrate on simulated host " + host_.settings().name + ": it has no state folder");
}

Status SimMigration::check_options(const MigrationOptions& options) {
  if (options.copy_disks)
    return fail(Code::unsupported,
                "migrate with copies of disks: the simulated hypervisor copies none; both hosts must see them");
  if (options.recover)
    return fail(Code::unsupported, "take up a post-copy that broke: the simulated hypervisor cannot");
  if (options.post_copy && options.bulk_channels > 0)
    return fail(Code::unsupported, "migrate with post-copy and bulk channels: the simulated hypervisor has not both");
  if (options.bulk_channels <= kBulkMaximum) return {};
  return fail(Code::limit_exceeded, "migrate with " + std::to_string(options.bulk_channels) +
                                        " bulk channels: the simulated hypervisor has " + std::to_string(kBulkMaximum));
}

Result<DomainDescription> SimMigration::describe(const DomainRef& request) {
  VMSEC_CHECK(check_call("Describe"));
  VMSEC_TRY(const DomainSpec spec, host_.spec(request.domain));
  return DomainDescription{spec.uuid,  spec.name, std::string(kFormat), write_domain(spec), spec.memory,
                           spec.vcpus, {},        kBulkMaximum};
}

Result<Empty> SimMigration::start(const StartOutgoing& request) {
  VMSEC_CHECK(check_call("Start"));
  VMSEC_CHECK(check_options(request.options));
  return sessions_.start(request.migration, request.domain, [&]() -> Result<std::shared_ptr<common::Session>> {
    VMSEC_TRY(auto machine, host_.check_outgoing(request.domain));
    VMSEC_TRY(auto spec, host_.spec(request.domain));
    return Outgoing::start(host_, request, std::move(spec), std::move(machine));
  });
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
  return sessions_.start(request.migration, request.domain, [&]() -> Result<std::shared_ptr<common::Session>> {
    VMSEC_TRY(auto disks, host_.check_incoming(spec));
    VMSEC_TRY(auto machine, Machine::create(spec, std::move(disks)));
    return Incoming::start(host_, request, std::move(spec), std::move(machine));
  });
}

Result<ChannelEnd> SimMigration::open(const OpenChannel& request) {
  VMSEC_CHECK(check_call("Open"));
  VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
  return session->open(request);
}

Result<SessionEvent> SimMigration::next(const NextSessionEvent& request) {
  VMSEC_CHECK(check_call("Next"));
  VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
  return session->next(request.wait);
}

Result<Empty> SimMigration::decide(const GateDecision& request) {
  VMSEC_CHECK(check_call("Decide"));
  VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
  VMSEC_CHECK(session->decide(request));
  return Empty{};
}

Result<TransferProgress> SimMigration::progress(const SessionRef& request) {
  VMSEC_CHECK(check_call("Progress"));
  VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
  return session->progress();
}

Result<Empty> SimMigration::cancel(const SessionRef& request) {
  VMSEC_CHECK(check_call("Cancel"));
  VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
  VMSEC_CHECK(session->cancel());
  return Empty{};
}

Result<Empty> SimMigration::close(const SessionRef& request) {
  VMSEC_CHECK(check_call("Close"));
  return sessions_.close(request);
}

Result<Holding> SimMigration::holding(const SessionRef& request) {
  VMSEC_CHECK(check_call("Holding"));
  const bool busy = sessions_.busy(request.domain);
  Holding holding = host_.holding(request.domain);
  holding.migrating = busy;
  return holding;
}

template <class Act>
Result<Empty> SimMigration::resolve(std::string_view method, const SessionRef& request, Act&& act) {
  VMSEC_CHECK(check_call(method));
  return sessions_.resolve(std::string(method) + " " + request.domain.text(), request.domain, act);
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

Result<Empty> SimMigration::unhold(const SessionRef& request) {
  return resolve("Unhold", request, [&] { return host_.unhold(request.domain); });
}

Result<Empty> SimMigration::start_post_copy(const SessionRef& request) {
  VMSEC_CHECK(check_call("StartPostCopy"));
  VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
  const auto outgoing = std::dynamic_pointer_cast<Outgoing>(session);
  if (!outgoing) return fail(Code::wrong_state, "start post-copy: the domain comes to this host");
  VMSEC_CHECK(outgoing->start_post_copy());
  return Empty{};
}

}  // namespace vmsec::sim
