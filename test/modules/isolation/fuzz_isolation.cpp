// Any bytes as a [vm.isolation] section: findings, or a section that reads the same twice.
#include <cstdlib>

#include "isolation/wanted.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto section = wire::decode<Settings>(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!section) return 0;
  isolation::Wanted first;
  isolation::Wanted second;
  if (wire::encode(isolation::read(*section, first)) != wire::encode(isolation::read(*section, second))) std::abort();
  return 0;
}
