#include "host/policy_service.hpp"

#include <algorithm>

#include "host/grant_changes.hpp"
#include "host/grant_service.hpp"
#include "identity/openssl.hpp"
#include "policy/text.hpp"

namespace vmsec::host {
namespace {

// Enforcement's methods, as its table numbers them.
constexpr std::uint32_t kCheck = 1;
constexpr std::uint32_t kDiff = 2;
constexpr std::uint32_t kApply = 3;

template <class Reply, class Request>
Result<Reply> ask(LoadedModule& module, std::uint32_t method, const Request& request) {
  VMSEC_TRY(Packet reply, module.instance->call(Methods<Enforcement>::kName, method, wire::pack(request)));
  return wire::unpack<Reply>(std::move(reply));
}

void append(Findings& to, Findings from) {
  for (auto& finding : from.findings) to.findings.push_back(std::move(finding));
}

ModuleOutline outline_of(const loader::Manifest& manifest) {
  ModuleOutline outline{manifest.name, manifest.section, {}};
  for (const auto& need : manifest.needs)
    if (std::ranges::find(kGrantableInterfaces, need) != kGrantableInterfaces.end()) outline.needs.push_back(need);
  return outline;
}

// A pattern with a slip of the pen takes no VM, and nobody would notice.
void warn_of_unmatched(const Policy& policy, const std::vector<DomainInfo>& domains, PolicyReport& report) {
  const auto check = [&](const auto& rule, const std::string& what) {
    const auto matches = [&](const DomainInfo& info) { return rule.selector.matches(info.name, info.tags); };
    if (std::ranges::none_of(domains, matches))
      report.warnings.push_back(
          {rule.line, rule.column, what + " for " + rule.selector.text() + " matches no VM that is on this host now"});
  };
  for (const VmRule& rule : policy.vm_rules()) check(rule, "[[vm]]");
  for (const TenantRule& rule : policy.tenant_rules()) check(rule, "[[tenant]] \"" + rule.name + "\"");
}

// One VM, two tenants: the later one believes that it is theirs.
void warn_of_shared(const Policy& policy, const std::vector<DomainInfo>& domains, PolicyReport& report) {
  for (const DomainInfo& info : domains) {
    const TenantRule* owner = policy.tenant_of(info.name, info.tags);
    for (const TenantRule& rule : policy.tenant_rules())
      if (owner != nullptr && &rule != owner && rule.selector.matches(info.name, info.tags))
        report.warnings.push_back({rule.line, rule.column,
                                   "[[tenant]] \"" + rule.name + "\" matches VM \"" + info.name +
                                       "\" too, which is \"" + owner->name + "\"'s: the rule at line " +
                                       std::to_string(owner->line) + " decides"});
  }
}

void warn_of_domains(const Policy& policy, const std::vector<DomainInfo>& domains, PolicyReport& report) {
  warn_of_unmatched(policy, domains, report);
  warn_of_shared(policy, domains, report);
}

}  // namespace

PolicyService::Checked PolicyService::read(const PolicyText& text) {
  Checked checked;
  checked.report.file = text.text.empty() ? file_ : text.file;
  if (text.text.empty() && file_.empty()) {
    checked.report.findings.push_back({0, 0, "no policy was given, and the host has none of its own"});
    return checked;
  }
  const auto content = text.text.empty() ? policy::read_text(file_) : Result<std::string>(text.text);
  if (!content) {
    checked.report.findings.push_back({0, 0, content.error().message});
    return checked;
  }
  checked.digest = identity::sha256(*content);
  auto policy = Policy::parse(*content);
  if (!policy) {
    checked.report.findings = std::move(policy.error().findings);
    return checked;
  }
  Findings warnings;
  Findings findings = check_sections(*policy, warnings);
  checked.report.findings = std::move(findings.findings);
  checked.report.warnings = std::move(warnings.findings);
  if (checked.report.findings.empty()) checked.policy = std::move(*policy);
  return checked;
}

// What only the modules know: which keys and values their sections may hold.
Findings PolicyService::check_sections(const Policy& policy, Findings& warnings) {
  std::vector<ModuleOutline> outlines;
  for (const auto& module : registry_.modules()) outlines.push_back(outline_of(module->manifest()));
  Findings findings = policy.check_modules(outlines);
  GrantGaps gaps = policy.check_grants(outlines);
  append(findings, std::move(gaps.findings));
  append(warnings, std::move(gaps.warnings));
  append(warnings, policy.lint(outlines));
  for (const auto& rule : policy.vm_rules()) {
    for (const auto& section : rule.sections) {
      for (const auto& module : registry_.modules()) {
        if (module->manifest().section != section.name || !enforces(*module)) continue;
        auto found = ask<Findings>(*module, kCheck, section.settings);
        if (found)
          append(findings, std::move(*found));
        else
          findings.findings.push_back({section.line, section.column, found.error().message});
      }
    }
  }
  std::stable_sort(findings.findings.begin(), findings.findings.end(), [](const Finding& a, const Finding& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  return findings;
}

Status PolicyService::begin(const Checked& checked, const Begins& begins) {
  if (!begins) return {};
  if (Status begun = begins(checked.report.file, checked.digest); !begun)
    return fail(begun.error().in("policy " + checked.report.file + ": nothing was changed, as it cannot be recorded"));
  return {};
}

Status PolicyService::adopt_file(const Begins& begins) {
  if (file_.empty()) return {};
  Checked checked = read({});
  checked.report.file = file_;
  if (checked.policy) {
    VMSEC_CHECK(begin(checked, begins));
    put_in_force(checked);
    return {};
  }
  return fail(Code::invalid_argument, describe(Findings{checked.report.findings}, file_));
}

PolicyService::InForce PolicyService::in_force() const {
  const std::lock_guard lock(mutex_);
  return in_force_;
}

void PolicyService::put_in_force(const Checked& checked) {
  const std::lock_guard lock(mutex_);
  in_force_ = {checked.report.file, identity::hex(checked.digest)};
  grants_.replace(*checked.policy);
}

Result<PolicyReport> PolicyService::check(const PolicyText& text) {
  Checked checked = read(text);
  if (!checked.policy) return checked.report;
  // Without the hypervisor a policy can be checked as well.
  if (const auto found = list_domains(capabilities_)) warn_of_domains(*checked.policy, *found, checked.report);
  return checked.report;
}

Result<PolicyReport> PolicyService::diff(const PolicyText& text) { return compare(text, kDiff, {}); }

Result<PolicyReport> PolicyService::apply(const PolicyText& text, const Begins& begins) {
  const std::lock_guard lock(turn_);
  return compare(text, kApply, begins);
}

Result<PolicyReport> PolicyService::compare(const PolicyText& text, std::uint32_t method, const Begins& begins) {
  Checked checked = read(text);
  if (!checked.policy) return checked.report;
  VMSEC_TRY(const auto found, list_domains(capabilities_));
  warn_of_domains(*checked.policy, found, checked.report);
  checked.report.withdrawn = withdrawn_of(*checked.policy, *grants_.standing(), found);
  checked.report.grants = grant_changes(grants_.current().get(), *checked.policy, found);
  std::optional<Grants::Preview> preview;
  if (method == kApply) {
    VMSEC_CHECK(begin(checked, begins));
    // The new grants first: the modules act under the policy that they apply.
    put_in_force(checked);
  } else {
    preview.emplace(*checked.policy);
  }
  for (const auto& info : found) compare_domain(*checked.policy, info, method, checked.report);
  return checked.report;
}

bool PolicyService::enforces(const LoadedModule& module) {
  const auto& provides = module.manifest().provides;
  return !module.manifest().section.empty() &&
         std::find(provides.begin(), provides.end(), Methods<Enforcement>::kName) != provides.end();
}

std::optional<DomainChanges> PolicyService::enforce(const DomainInfo& domain, LoadedModule& module) {
  const std::lock_guard lock(turn_);
  const auto policy = grants_.current();
  return policy ? compare_one(*policy, domain, module, kApply) : std::nullopt;
}

void PolicyService::compare_domain(const Policy& policy, const DomainInfo& info, std::uint32_t method,
                                   PolicyReport& report) {
  for (const auto& module : registry_.modules()) {
    if (!enforces(*module)) continue;
    if (auto entry = compare_one(policy, info, *module, method)) report.domains.push_back(std::move(*entry));
  }
}

std::optional<DomainChanges> PolicyService::compare_one(const Policy& policy, const DomainInfo& info,
                                                        LoadedModule& module, std::uint32_t method) {
  const Section* wanted = policy.section(info.name, info.tags, module.manifest().section);
  if (wanted == nullptr) return std::nullopt;
  DomainChanges entry{info.domain, info.name, module.manifest().name, {}, {}, Code::ok};
  auto changes = ask<Changes>(module, method, EnforcementTarget{info.domain, wanted->settings});
  if (changes) {
    entry.changes = std::move(changes->changes);
  } else {
    entry.error = changes.error().message;
    entry.code = changes.error().code;
  }
  return entry;
}

}  // namespace vmsec::host
