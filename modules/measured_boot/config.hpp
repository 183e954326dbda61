// The module's settings.
#pragma once

#include <chrono>
#include <string>

#include "vmsec/result.hpp"
#include "vmsec/settings.hpp"

namespace vmsec::boot {

struct Config {
  std::string reference;             // path; empty: nothing can be attested, only enrolled and learned
  std::string ek_roots;              // PEM text; empty: endorsement keys need no certificate
  std::string guest_references;      // folder: UUID.toml, default.toml; empty: no guest can be attested
  std::string guest_ek_roots;        // PEM text, of guests' TPMs
  std::chrono::seconds max_age{30};  // from the nonce to the verdict
  // Strict: an unknown key, a wrong type or an ek_roots file that cannot be read is an error with its place.
  static Result<Config> read(const Settings& settings);
};

}  // namespace vmsec::boot
