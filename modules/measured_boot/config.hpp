// The module's settings.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tpm/tpm.hpp"
#include "vmsec/result.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::boot {

struct Config {
  std::string reference;         // path; empty: nothing can be attested, only enrolled and learned
  std::string ek_roots;          // PEM text; empty: endorsement keys need no certificate
  std::string guest_references;  // folder: UUID.toml, default.toml; empty: no guest can be attested
  std::string guest_ek_roots;    // PEM text, of guests' TPMs
  std::optional<AttestationKeyKind> attestation_key;  // none: P-256, and whatever key is kept goes on
  std::chrono::seconds max_age{30};                   // from the nonce to the verdict
  std::chrono::seconds watch{0};                      // how often each enrolled host is attested; 0: on request only
  // Strict: an unknown key, a wrong type or an ek_roots file that cannot be read is an error with its place.
  static Result<Config> read(const Settings& settings);
};

}  // namespace vmsec::boot
