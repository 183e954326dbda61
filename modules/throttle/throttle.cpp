// Keeps domains within their share of the host's disks and network.
#include "throttle/plan.hpp"
#include "vmsec/module.hpp"
#include "vmsec/section.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::throttle {

class Throttle final : public Enforcement {
 public:
  static Result<std::unique_ptr<Throttle>> create(const HostLink& host, const Settings& settings) {
    const auto none_known = [](const Setting&, const SettingPath&) -> Status {
      return unknown_key("nothing: throttle has no settings of its own, only [vm.throttle]");
    };
    VMSEC_CHECK(no_findings(read_section(settings, none_known)));
    std::unique_ptr<Throttle> module(new Throttle);
    VMSEC_TRY(module->io_, host.open<IoControl>());
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    VMSEC_TRY(module->journal_, host.open<Journal>());
    return module;
  }

  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == endpoint_.interface_name()) return &endpoint_;
    return fail(Code::not_found, "throttle provides no " + std::string(name));
  }

  Result<Findings> check(const Settings& section) override {
    Wanted wanted;
    return read(section, wanted);
  }

  Result<Changes> diff(const EnforcementTarget& target) override {
    auto plan = planned(target);
    if (!plan) return fail(plan.error().in("throttle " + name_of(target.domain)));
    return std::move(plan->changes);
  }

  Result<Changes> apply(const EnforcementTarget& target) override {
    auto changes = applied(target);
    if (!changes) return fail(changes.error().in("throttle " + name_of(target.domain)));
    return changes;
  }

 private:
  Throttle() : endpoint_(*this) {}

  // For messages: its id must do where the policy does not let us ask for its name.
  std::string name_of(const Uuid& domain) {
    const auto info = domains_->get({domain});
    return info ? info->name : domain.text();
  }

  Result<Plan> planned(const EnforcementTarget& target) {
    Wanted wanted;
    VMSEC_CHECK(no_findings(read(target.wanted, wanted)));
    VMSEC_TRY(const IoLimits is, io_->get({target.domain}));
    return make_plan(wanted, is);
  }

  Result<Changes> applied(const EnforcementTarget& target) {
    VMSEC_TRY(Plan plan, planned(target));
    if (plan.changes.changes.empty()) return Changes{};
    const std::string what = summary(plan.changes);
    if (auto begun = record(target.domain, Outcome::unknown, "begins: " + what); !begun)
      return fail(begun.error().in("nothing was changed, as it cannot be recorded"));
    const Status done = set(target, plan);
    const auto ended = done ? record(target.domain, Outcome::succeeded, what)
                            : record(target.domain, Outcome::failed, what + ": " + done.error().message);
    VMSEC_CHECK(done);
    if (!ended) return fail(ended.error().in("done, but its end is not recorded"));
    return std::move(plan.changes);
  }

  // Device by device; an error says which were set before. A backend that said
  // yes and did not do it is caught by planning again.
  Status set(const EnforcementTarget& target, const Plan& plan) {
    std::string before;
    const auto set_one = [&](const std::string& device, const Result<Empty>& answer) -> Status {
      if (!answer) return fail(answer.error().in(before.empty() ? device : device + " (after " + before + ")"));
      before += (before.empty() ? "" : ", ") + device;
      return {};
    };
    for (const DiskLimit& limit : plan.disks)
      VMSEC_CHECK(set_one("disk " + limit.target, io_->set_disk({target.domain, limit})));
    for (const NicLimit& limit : plan.nics)
      VMSEC_CHECK(set_one("NIC " + limit.target, io_->set_nic({target.domain, limit})));
    VMSEC_TRY(const Plan left, planned(target));
    if (left.changes.changes.empty()) return {};
    return fail(Code::internal, "after it was set, it still differs: " + summary(left.changes));
  }

  Result<Empty> record(const Uuid& domain, Outcome outcome, std::string detail) {
    return journal_->audit({"throttle.apply", outcome, domain, {}, std::move(detail)});
  }

  EndpointOf<Enforcement> endpoint_;
  std::unique_ptr<IoControl> io_;
  std::unique_ptr<DomainControl> domains_;
  std::unique_ptr<Journal> journal_;
};

}  // namespace vmsec::throttle

VMSEC_MODULE(vmsec::throttle::Throttle, R"(
name = "throttle"
version = "0.1.0"
summary = "Rates of each VM's disks and NICs"
section = "throttle"
provides = ["vmsec.Enforcement"]
needs = ["vmsec.IoControl", "vmsec.DomainControl", "vmsec.Journal"]
asks = []
)");
