// vmsec::Migration over libxl: finds the session, asks Xen.
#include "context.hpp"
#include "incoming.hpp"
#include "incoming_policy.hpp"
#include "outgoing.hpp"
#include "session_list.hpp"

namespace vmsec::xen {
namespace {

Status check_options(const MigrationOptions& options) {
  if (options.bulk_channels > 0)
    return fail(Code::unsupported, "migrate with bulk channels: libxl sends a domain through one channel");
  if (options.bandwidth.value > 0)
    return fail(Code::unsupported, "migrate with a bandwidth: libxl 4.17 has no limit for it");
  if (options.copy_disks)
    return fail(Code::unsupported, "migrate with copies of disks: libxl copies none; both hosts must see them");
  if (options.maximum_downtime.value > 0)
    return fail(Code::unsupported, "migrate with a maximum downtime: libxl 4.17 takes none");
  if (options.auto_converge)
    return fail(Code::unsupported, "migrate with auto-converge: libxl 4.17 does not slow a guest down");
  if (options.recover) return fail(Code::unsupported, "take up a post-copy that broke: libxl 4.17 has none");
  if (options.post_copy) return fail(Code::unsupported, "migrate with post-copy: libxl 4.17 has none");
  return {};
}

class XenMigration final : public Migration {
 public:
  XenMigration(std::shared_ptr<Context> context, IncomingPolicy policy)
      : context_(std::move(context)), policy_(std::move(policy)) {}

  Result<DomainDescription> describe(const DomainRef& request) override {
    return describe_domain(*context_, request.domain);
  }

  Result<Empty> start(const StartOutgoing& request) override {
    VMSEC_CHECK(check_options(request.options));
    return sessions_.start(request.migration, request.domain, [&]() -> Result<std::shared_ptr<common::Session>> {
      VMSEC_CHECK(context_->lent.require_back(request.domain, "migrate domain " + request.domain.text()));
      VMSEC_TRY(const Transfer transfer, check_outgoing(*context_, request.domain, request.options.stop_and_copy));
      VMSEC_TRY(const auto description, describe_domain(*context_, request.domain));
      return Outgoing::start(context_, request, description, transfer);
    });
  }

  Result<Empty> prepare(const PrepareIncoming& request) override {
    VMSEC_CHECK(check_options(request.options));
    const DomainDescription& description = request.description;
    const std::string what = "prepare migration " + request.migration.text();
    if (description.domain != request.domain)
      return fail(Code::invalid_argument,
                  what + ": the description is of another domain, " + description.domain.text());
    if (description.format != kFormat)
      return fail(Code::unsupported, what + ": xen takes a description in " + std::string(kFormat) + ", not \"" +
                                         description.format + "\"");
    return sessions_.start(request.migration, request.domain, [&]() -> Result<std::shared_ptr<common::Session>> {
      VMSEC_CHECK(context_->lent.require_back(request.domain, what));
      VMSEC_CHECK(check_absent(*context_, description));
      VMSEC_TRY(auto configuration,
                accept_configuration(policy_, description, {context_->pool, std::string(kIncoming)}));
      return Incoming::start(context_, request, std::move(configuration));
    });
  }

  Result<ChannelEnd> open(const OpenChannel& request) override {
    VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
    return session->open(request);
  }
  Result<SessionEvent> next(const NextSessionEvent& request) override {
    VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
    return session->next(request.wait);
  }
  Result<Empty> decide(const GateDecision& request) override {
    VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
    VMSEC_CHECK(session->decide(request));
    return Empty{};
  }
  Result<TransferProgress> progress(const SessionRef& request) override {
    VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
    return session->progress();
  }
  Result<Empty> cancel(const SessionRef& request) override {
    VMSEC_TRY(auto session, sessions_.find(request.migration, request.domain));
    VMSEC_CHECK(session->cancel());
    return Empty{};
  }
  Result<Empty> close(const SessionRef& request) override { return sessions_.close(request); }

  Result<Holding> holding(const SessionRef& request) override {
    const bool busy = sessions_.busy(request.domain) || context_->lent.has(request.domain);
    VMSEC_TRY(Holding holding, holding_of(*context_, request.domain));
    holding.migrating = busy;
    return holding;
  }

  Result<Empty> hold(const SessionRef& request) override {
    context_->held.hold(request.domain, request.migration);
    return Empty{};
  }

  Result<Empty> activate(const SessionRef& request) override {
    return resolve("activate domain", request,
                   [&](const std::string& what) { return activate_domain(*context_, request.domain, what); });
  }
  Result<Empty> discard(const SessionRef& request) override {
    return resolve("discard domain", request,
                   [&](const std::string& what) { return remove_domain(*context_, request.domain, what); });
  }
  Result<Empty> reclaim(const SessionRef& request) override {
    return resolve("reclaim domain", request, [&](const std::string& what) {
      return reclaim_domain(*context_, request.domain, Paused::goes_on, what);
    });
  }
  Result<Empty> start_post_copy(const SessionRef&) override {
    return fail(Code::unsupported, "start post-copy: libxl 4.17 has none");
  }

  Result<Empty> unhold(const SessionRef& request) override {
    return resolve("unhold domain", request, [](const std::string&) { return Status(); });
  }

  Result<Empty> release(const SessionRef& request) override {
    return resolve("release domain", request,
                   [&](const std::string& what) { return remove_domain(*context_, request.domain, what); });
  }

 private:
  // When no session of the domain is under way; whoever resolved it owns it no more.
  template <class Act>
  Result<Empty> resolve(const std::string& verb, const SessionRef& request, Act&& act) {
    const std::string what = verb + " " + request.domain.text();
    return sessions_.resolve(what, request.domain, [&]() -> Status {
      VMSEC_CHECK(context_->lent.require_back(request.domain, what));
      VMSEC_CHECK(act(what));
      context_->held.release(request.domain);
      return {};
    });
  }

  std::shared_ptr<Context> context_;
  IncomingPolicy policy_;
  common::SessionList sessions_;
};

}  // namespace

Result<std::unique_ptr<Migration>> make_migration(std::shared_ptr<Context> context) {
  VMSEC_TRY(IncomingPolicy policy, IncomingPolicy::from_settings(context->options.settings));
  return std::unique_ptr<Migration>(std::make_unique<XenMigration>(std::move(context), std::move(policy)));
}

}  // namespace vmsec::xen
