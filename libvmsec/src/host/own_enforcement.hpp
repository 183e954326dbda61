// What the Enforcer sees of the host in this process.
#pragma once

#include <limits>

#include "host/enforcer.hpp"
#include "host/policy_service.hpp"
#include "host/record_limiter.hpp"
#include "vmsec/backend.hpp"

namespace vmsec::host {

class OwnEnforcement final : public EnforcedHost {
 public:
  // All outlive it. `record` is asked for each record, and limited here.
  OwnEnforcement(Backend& backend, PolicyService& policy, Registry& registry, Grants& grants,
                 RecordLimiter::Write record)
      : backend_(backend), policy_(policy), registry_(registry), grants_(grants), records_(std::move(record)) {}

  Result<EventList> events(std::uint64_t after) override {
    VMSEC_TRY(auto* events, backend_.events());
    constexpr Microseconds kMoment{500'000};
    const bool only_last = after == std::numeric_limits<std::uint64_t>::max();
    return events->next({after, only_last ? Microseconds{} : kMoment, 0});
  }
  Result<std::vector<DomainInfo>> domains() override {
    VMSEC_TRY(auto* domains, backend_.domain_control());
    VMSEC_TRY(auto list, domains->list({}));
    return std::move(list.domains);
  }
  Result<DomainInfo> domain(const Uuid& domain) override {
    VMSEC_TRY(auto* domains, backend_.domain_control());
    return domains->get({domain});
  }
  std::vector<Module> modules() override {
    std::vector<Module> out;
    for (const auto& module : registry_.modules()) {
      if (!PolicyService::enforces(*module)) continue;
      const auto state = module->instance->state();
      out.push_back({module->manifest().name, state.state == "running", state.restarts});
    }
    return out;
  }
  Rules rules() override { return {grants_.current(), grants_.standing()}; }
  std::optional<DomainChanges> apply(const DomainInfo& domain, const std::string& module) override {
    const auto held = registry_.hold(module);
    return held ? policy_.enforce(domain, *held) : std::nullopt;
  }
  void record(const std::string& module, const AuditEntry& entry) override {
    records_.tell({module, Standing::known, entry.action, entry.domain, "core"}, entry);
  }

 private:
  Backend& backend_;
  PolicyService& policy_;
  Registry& registry_;
  Grants& grants_;
  RecordLimiter records_;
};

}  // namespace vmsec::host
