// Grants as an operator sees them, takes them back and gives them back.
#pragma once

#include <functional>
#include <string>

#include "host/capabilities.hpp"
#include "host/grant_ledger.hpp"
#include "host/registry.hpp"
#include "vmsec/export.hpp"
#include "vmsec/service/grants.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

using WriteDown = std::function<Status(const AuditEntry&)>;

// What the selector has of this kind; empty where it is of the other one.
std::string pattern_of(const Selector& selector, Selector::By by);

// The host's domains, as the backend lists them.
VMSEC_EXPORT Result<std::vector<DomainInfo>> list_domains(Capabilities& capabilities);
// `VM "web-*"`, with the interfaces: for messages and records.
VMSEC_EXPORT std::string text_of(const Withdrawal& withdrawal);
// What stands of what this policy grants.
VMSEC_EXPORT std::vector<Withdrawal> withdrawn_of(const Policy& policy, const GrantState& state,
                                                  const std::vector<DomainInfo>& domains);

// Any thread. HostControl's contract; `who` is written down as who did it.
class VMSEC_EXPORT GrantService {
 public:
  GrantService(Registry& registry, Capabilities& capabilities, Grants& grants, GrantLedger& ledger, WriteDown record)
      : registry_(registry),
        capabilities_(capabilities),
        grants_(grants),
        ledger_(ledger),
        record_(std::move(record)) {}

  Result<GrantList> list();
  Result<Withdrawal> revoke(const GrantRevocation& request, const std::string& who);
  Result<Withdrawal> restore(const GrantRestoration& request, const std::string& who);
  // With the names of the domains that each is about, and what the module keeps.
  std::vector<Withdrawal> withdrawals();

 private:
  Status check_module(const std::string& name);
  void describe(Withdrawal& withdrawal, const std::vector<DomainInfo>& domains);

  Registry& registry_;
  Capabilities& capabilities_;
  Grants& grants_;
  GrantLedger& ledger_;
  const WriteDown record_;
};

}  // namespace vmsec::host
