// A domain file, or another host's description of a domain.
#include <cstdlib>

#include "domain_spec.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec::sim;
  const auto spec = parse_domain({reinterpret_cast<const char*>(data), size}, "fuzz.toml");
  if (!spec) return 0;
  // What was accepted is written and read back as the same.
  const auto again = parse_domain(write_domain(*spec), "again.toml");
  if (!again || *again != *spec) std::abort();
  return 0;
}
