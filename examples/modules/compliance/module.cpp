// compliance: holds VMs to the rules that the host's configuration names.
#include <map>
#include <vmsec/module.hpp>
#include <vmsec/section.hpp>
#include <vmsec/service/inspection.hpp>

#include "rules.hpp"

namespace compliance {
namespace {

using namespace vmsec;

// A rule that is wanted: how grave it is where it does not hold, and where that is said.
struct Wanted {
  Severity severity = Severity::warning;
  std::uint32_t line = 0;
};
using WantedRules = std::map<std::string, Wanted>;

std::string all_names() {
  std::string names;
  for (const Rule& rule : kRules) names += (names.empty() ? "" : ", ") + std::string(rule.name);
  return names;
}

// cpu_limited = "critical"; "off" takes a rule away.
Status read_rules(const Settings& settings, WantedRules& wanted) {
  return no_findings(read_section(settings, [&](const Setting& setting, const SettingPath& path) -> Status {
    const auto known =
        std::ranges::any_of(kRules, [&](const Rule& rule) { return path == SettingPath{std::string(rule.name)}; });
    if (!known) return unknown_key(all_names());
    const std::string want = "\"info\", \"warning\", \"critical\" or \"off\"";
    VMSEC_TRY(const std::string_view word, text_of(setting, want));
    wanted.erase(path[0]);
    if (word == "off") return {};
    for (const Severity severity : {Severity::info, Severity::warning, Severity::critical})
      if (word == to_string(severity)) wanted[path[0]] = {severity, setting.line};
    if (wanted.contains(path[0])) return {};
    return fail(Code::invalid_argument, "want " + want);
  }));
}

class Compliance final : public Inspection {
 public:
  static Result<std::unique_ptr<Compliance>> create(const HostLink& host, const Settings& settings) {
    auto module = std::make_unique<Compliance>();
    VMSEC_CHECK(read_rules(settings, module->configured_));
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    VMSEC_TRY(module->resources_, host.open<ResourceControl>());
    VMSEC_TRY(module->io_, host.open<IoControl>());
    return module;
  }

  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == endpoint_.interface_name()) return &endpoint_;
    return fail(Code::not_found, "compliance provides no " + std::string(name));
  }

  Result<InspectionReport> inspect(const InspectionTarget& target) override {
    WantedRules wanted = configured_;
    VMSEC_CHECK(read_rules(target.wanted, wanted));
    if (wanted.empty())
      return fail(Code::invalid_argument, "compliance: no rule is wanted: name some of " + all_names());
    Facts facts;
    VMSEC_TRY(facts.info, domains_->get({target.domain}));
    VMSEC_TRY(facts.resources, resources_->get({target.domain}));
    VMSEC_TRY(facts.io, io_->get({target.domain}));
    return judged(facts, wanted);
  }

 private:
  // What does not hold is an observation; every rule's end is a measurement.
  static InspectionReport judged(const Facts& facts, const WantedRules& wanted) {
    InspectionReport report;
    for (const Rule& rule : kRules) {
      const auto found = wanted.find(std::string(rule.name));
      if (found == wanted.end()) continue;
      const Judgement judgement = rule.judge(facts);
      report.measurements.push_back({found->first, (judgement.holds ? "pass: " : "fail: ") + judgement.because});
      if (judgement.holds) continue;
      const std::string where =
          found->second.line == 0 ? "for this call" : "by line " + std::to_string(found->second.line);
      report.observations.push_back({found->second.severity, facts.info.name,
                                     judgement.because + " (" + found->first + ", wanted " + where + ")"});
    }
    return report;
  }

  WantedRules configured_;
  std::unique_ptr<DomainControl> domains_;
  std::unique_ptr<ResourceControl> resources_;
  std::unique_ptr<IoControl> io_;
  EndpointOf<Inspection> endpoint_{*this};
};

}  // namespace
}  // namespace compliance

VMSEC_MODULE(compliance::Compliance, R"(
name = "compliance"
version = "0.1"
summary = "Holds VMs to rules: limits, pins, a TPM, tags"
provides = ["vmsec.Inspection"]
needs = ["vmsec.DomainControl", "vmsec.ResourceControl", "vmsec.IoControl"]
)");
