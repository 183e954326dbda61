// Keeps domains within their share of the host's CPUs and memory.
#include <algorithm>
#include <utility>

#include "isolation/plan.hpp"
#include "vmsec/module.hpp"
#include "vmsec/section.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::isolation {

class Isolation final : public Enforcement {
 public:
  static Result<std::unique_ptr<Isolation>> create(const HostLink& host, const Settings& settings) {
    const auto none_known = [](const Setting&, const SettingPath&) -> Status {
      return unknown_key("nothing: isolation has no settings of its own, only [vm.isolation]");
    };
    VMSEC_CHECK(no_findings(read_section(settings, none_known)));
    std::unique_ptr<Isolation> module(new Isolation);
    VMSEC_TRY(module->resources_, host.open<ResourceControl>());
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    VMSEC_TRY(module->journal_, host.open<Journal>());
    return module;
  }

  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == endpoint_.interface_name()) return &endpoint_;
    return fail(Code::not_found, "isolation provides no " + std::string(name));
  }

  Result<Findings> check(const Settings& section) override {
    Wanted wanted;
    return read(section, wanted);
  }

  Result<Changes> diff(const EnforcementTarget& target) override {
    VMSEC_TRY(Plan plan, planned(target));
    return std::move(plan.changes);
  }

  Result<Changes> apply(const EnforcementTarget& target) override {
    VMSEC_TRY(Plan plan, planned(target));
    if (plan.changes.changes.empty()) return Changes{};
    const std::string what = summary(plan.changes);
    if (auto begun = record(target.domain, Outcome::unknown, "begins: " + what); !begun)
      return fail(
          begun.error().in("isolate " + target.domain.text() + ": nothing was changed, as it cannot be recorded"));
    Status done = set(target, std::move(plan.limits));
    const auto ended = done ? record(target.domain, Outcome::succeeded, what)
                            : record(target.domain, Outcome::failed, what + ": " + done.error().message);
    VMSEC_CHECK(done);
    if (!ended)
      return fail(ended.error().in("isolate " + target.domain.text() + ": done, but its end is not recorded"));
    return std::move(plan.changes);
  }

 private:
  Isolation() : endpoint_(*this) {}

  Result<Plan> planned(const EnforcementTarget& target) {
    const auto domain = domains_->get({target.domain});
    if (!domain) return fail(domain.error().in("isolate " + target.domain.text()));
    auto plan = planned_for(*domain, target.wanted);
    if (!plan) return fail(plan.error().in("isolate " + domain->name));
    return plan;
  }

  Result<Plan> planned_for(const DomainInfo& domain, const Settings& section) {
    Wanted wanted;
    VMSEC_CHECK(no_findings(read(section, wanted)));
    VMSEC_TRY(const ResourceLimits is, resources_->get({domain.domain}));
    VMSEC_TRY(const HostResources host, resources_->host({}));
    return make_plan(wanted, is, domain, host);
  }

  static bool says_something(const ResourceLimits& limits) { return !wire::encode(limits).empty(); }

  // A change of the vCPUs needs the guest, so it comes last: a guest that does not take part is bounded all the same.
  Status set_in_order(const Uuid& domain, ResourceLimits limits) {
    ResourceLimits last;
    last.vcpus = std::exchange(limits.vcpus, std::nullopt);
    if (last.vcpus) {
      VMSEC_TRY(const ResourceLimits is, resources_->get({domain}));
      const auto to_come = std::ranges::stable_partition(limits.pins, [&](const VcpuPin& pin) {
        return std::ranges::find(is.pins, pin.vcpu, &VcpuPin::vcpu) != is.pins.end();
      });
      last.pins.assign(to_come.begin(), to_come.end());
      limits.pins.erase(to_come.begin(), to_come.end());
    }
    if (says_something(limits)) VMSEC_CHECK(resources_->set({domain, std::move(limits)}));
    if (says_something(last)) VMSEC_CHECK(resources_->set({domain, std::move(last)}));
    return {};
  }

  // A backend that said yes and did not do it is caught by planning again.
  Status set(const EnforcementTarget& target, ResourceLimits limits) {
    const Status answer = set_in_order(target.domain, std::move(limits));
    if (!answer) return fail(answer.error().in("isolate " + target.domain.text()));
    VMSEC_TRY(const Plan left, planned(target));
    if (left.changes.changes.empty()) return {};
    return fail(Code::internal,
                "isolate " + target.domain.text() + ": after it was set, it still differs: " + summary(left.changes));
  }

  Result<Empty> record(const Uuid& domain, Outcome outcome, std::string detail) {
    return journal_->audit({"isolation.apply", outcome, domain, {}, std::move(detail)});
  }

  EndpointOf<Enforcement> endpoint_;
  std::unique_ptr<ResourceControl> resources_;
  std::unique_ptr<DomainControl> domains_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace vmsec::isolation

VMSEC_MODULE(vmsec::isolation::Isolation, R"(
name = "isolation"
version = "0.1.0"
summary = "CPU weight, quota and pinning, the memory limit and the number of vCPUs of each VM"
section = "isolation"
provides = ["vmsec.Enforcement"]
needs = ["vmsec.ResourceControl", "vmsec.DomainControl", "vmsec.Journal"]
asks = []
)");
