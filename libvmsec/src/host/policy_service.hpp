// A policy against what is: checked, compared, applied.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "host/capabilities.hpp"
#include "host/registry.hpp"
#include "vmsec/export.hpp"
#include "vmsec/policy.hpp"

namespace vmsec::host {

class VMSEC_EXPORT PolicyService {
 public:
  PolicyService(Registry& registry, Capabilities& capabilities, Grants& grants, std::string file)
      : registry_(registry), capabilities_(capabilities), grants_(grants), file_(std::move(file)) {}

  // Told of a policy (its file, the SHA-256 of its text) before its grants are put
  // in force; after an error they are not.
  using Begins = std::function<Status(const std::string& file, const std::string& digest)>;

  // Puts the grants of the host's own policy file in force. Findings are an Error.
  Status adopt_file(const Begins& begins = {});
  // The policy in force, by the file that it came from; both empty: none.
  struct InForce {
    std::string file;
    std::string digest;
  };
  InForce in_force() const;

  Result<PolicyReport> check(const PolicyText& text);
  Result<PolicyReport> diff(const PolicyText& text);
  Result<PolicyReport> apply(const PolicyText& text, const Begins& begins = {});
  // Applies the policy in force once more, to this VM by this module. None: it says nothing of them.
  std::optional<DomainChanges> enforce(const DomainInfo& domain, LoadedModule& module);
  [[nodiscard]] static bool enforces(const LoadedModule& module);

 private:
  struct Checked {
    PolicyReport report;
    std::optional<Policy> policy;  // absent: the report has findings
    std::string digest;
  };
  Checked read(const PolicyText& text);
  Findings check_sections(const Policy& policy, Findings& warnings);
  void put_in_force(const Checked& checked);
  static Status begin(const Checked& checked, const Begins& begins);
  Result<PolicyReport> compare(const PolicyText& text, std::uint32_t method, const Begins& begins);
  void compare_domain(const Policy& policy, const DomainInfo& info, std::uint32_t method, PolicyReport& report);
  static std::optional<DomainChanges> compare_one(const Policy& policy, const DomainInfo& info, LoadedModule& module,
                                                  std::uint32_t method);

  Registry& registry_;
  Capabilities& capabilities_;
  Grants& grants_;
  const std::string file_;
  std::mutex turn_;
  mutable std::mutex mutex_;
  InForce in_force_;
};

}  // namespace vmsec::host
