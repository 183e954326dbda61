// Any bytes as a policy: findings, or a policy whose every question has an answer.
#include <cstdlib>

#include "vmsec/policy.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto policy = Policy::parse(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!policy) {
    if (policy.error().findings.empty()) std::abort();
    for (const auto& finding : policy.error().findings)
      if (finding.message.empty()) std::abort();
    return 0;
  }
  const std::vector<std::string> tags = {"batch"};
  for (const VmRule& rule : policy->vm_rules())
    for (const Section& section : rule.sections) (void)policy->section(rule.selector.pattern, tags, section.name);
  for (const GrantRule& rule : policy->grant_rules())
    for (const auto& interface : rule.interfaces)
      if (!policy->grants_any(rule.module, interface)) std::abort();
  for (const TenantRule& rule : policy->tenant_rules()) {
    if (policy->tenant(rule.name) != &rule) std::abort();
    for (const auto& module : rule.offers)
      if (!policy->is_offered(module)) std::abort();
  }
  (void)policy->check_modules({});
  (void)policy->lint({});
  return 0;
}
