#include "module.hpp"

using vmsec::migration::MigrationModule;

VMSEC_MODULE(MigrationModule, R"(
  name = "migration"
  version = "0.1.0"
  summary = "Moves domains between hosts: encrypted, to authorised and proven destinations, never at both"
  provides = ["vmsec.Migrator", "vmsec.PeerHandler"]
  needs = ["vmsec.Migration", "vmsec.DomainControl", "vmsec.Peers", "vmsec.Authority", "vmsec.Records", "vmsec.Journal", "vmsec.Modules"]
  asks = ["vmsec.Attestation"]
  waits = ["switch_timeout = 60 s", "call_timeout = 30 s"]
)");
