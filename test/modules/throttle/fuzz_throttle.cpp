// Any bytes as a [vm.throttle] section: findings, or a section that reads the same twice.
#include <cstdlib>

#include "throttle/wanted.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto section = wire::decode<Settings>(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!section) return 0;
  throttle::Wanted first;
  throttle::Wanted second;
  if (wire::encode(throttle::read(*section, first)) != wire::encode(throttle::read(*section, second))) std::abort();
  return 0;
}
