#include "host/policy_service.hpp"

#include <algorithm>

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

bool enforces(const LoadedModule& module) {
  const auto& provides = module.manifest().provides;
  return !module.manifest().section.empty() &&
         std::find(provides.begin(), provides.end(), Methods<Enforcement>::kName) != provides.end();
}

void append(Findings& to, Findings from) {
  for (auto& finding : from.findings) to.findings.push_back(std::move(finding));
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
  Findings findings = check_sections(*policy);
  checked.report.findings = std::move(findings.findings);
  if (checked.report.findings.empty()) checked.policy = std::move(*policy);
  return checked;
}

// What only the modules know: which keys and values their sections may hold.
Findings PolicyService::check_sections(const Policy& policy) {
  std::vector<ModuleOutline> outlines;
  for (const auto& module : registry_.modules())
    outlines.push_back({module->manifest().name, module->manifest().section});
  Findings findings = policy.check_modules(outlines);
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
    grants_.replace(std::move(*checked.policy));
    return {};
  }
  return fail(Code::invalid_argument, describe(Findings{checked.report.findings}, file_));
}

Result<PolicyReport> PolicyService::check(const PolicyText& text) { return read(text).report; }

Result<PolicyReport> PolicyService::diff(const PolicyText& text) { return compare(text, kDiff, {}); }

Result<PolicyReport> PolicyService::apply(const PolicyText& text, const Begins& begins) {
  const std::lock_guard lock(turn_);
  return compare(text, kApply, begins);
}

Result<PolicyReport> PolicyService::compare(const PolicyText& text, std::uint32_t method, const Begins& begins) {
  Checked checked = read(text);
  if (!checked.policy) return checked.report;
  VMSEC_TRY(Packet packet, capabilities_.call(Methods<DomainControl>::kName, 1, wire::pack(Empty{}), Caller::host()));
  VMSEC_TRY(const auto list, wire::unpack<DomainList>(std::move(packet)));
  if (method == kApply) {
    VMSEC_CHECK(begin(checked, begins));
    // The new grants first: the modules act under the policy that they apply.
    grants_.replace(*checked.policy);
  }
  for (const auto& info : list.domains) compare_domain(*checked.policy, info, method, checked.report);
  return checked.report;
}

void PolicyService::compare_domain(const Policy& policy, const DomainInfo& info, std::uint32_t method,
                                   PolicyReport& report) {
  for (const auto& module : registry_.modules()) {
    if (!enforces(*module)) continue;
    Settings wanted = policy.section(info.name, info.tags, module->manifest().section);
    if (wanted.settings.empty()) continue;
    DomainChanges entry{info.domain, info.name, module->manifest().name, {}, {}, Code::ok};
    auto changes = ask<Changes>(*module, method, EnforcementTarget{info.domain, std::move(wanted)});
    if (changes) {
      entry.changes = std::move(changes->changes);
    } else {
      entry.error = changes.error().message;
      entry.code = changes.error().code;
    }
    report.domains.push_back(std::move(entry));
  }
}

}  // namespace vmsec::host
