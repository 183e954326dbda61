// Tenants: whose VMs they are, what they may choose for them, and what they chose.
#pragma once

#include <functional>
#include <string>

#include "host/grant_service.hpp"
#include "vmsec/export.hpp"

namespace vmsec::host {

// Told of each choice that is refused.
using RefusedChoice = std::function<void(const std::string& tenant, const AuditEntry&)>;

// Any thread. HostControl's contract; `who` is written down as who did it.
class VMSEC_EXPORT TenantService {
 public:
  TenantService(Capabilities& capabilities, Grants& grants, GrantLedger& ledger, WriteDown record,
                RefusedChoice refused)
      : capabilities_(capabilities),
        grants_(grants),
        ledger_(ledger),
        record_(std::move(record)),
        refused_(std::move(refused)) {}

  Result<TenantList> list(const TenantRef& request);
  Result<Empty> choose(const TenantChoice& request, const std::string& who);
  Result<Empty> drop(const TenantChoice& request, const std::string& who);

 private:
  TenantInfo describe(const Policy& policy, const TenantRule& tenant, const std::vector<DomainInfo>& domains);
  [[nodiscard]] std::string why_idle(const Policy& policy, const TenantChoice& choice, const DomainInfo* domain) const;
  Status check_offer(const TenantChoice& request, std::string& vm);

  Capabilities& capabilities_;
  Grants& grants_;
  GrantLedger& ledger_;
  const WriteDown record_;
  const RefusedChoice refused_;
};

}  // namespace vmsec::host
