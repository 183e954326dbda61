#include "domain_xml.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto parsed = vmsec::kvm::parse_domain_xml({reinterpret_cast<const char*>(data), size});
  if (parsed && parsed->name.empty()) __builtin_trap();
  if (!parsed && parsed.error().message.empty()) __builtin_trap();
  return 0;
}
