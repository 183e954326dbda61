// Any bytes as a trust store: an error that names it, or what is written back as the same.
#include <cstdlib>

#include "vmsec/trust.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = vmsec::parse_trust_store({reinterpret_cast<const char*>(data), size}, "trust.toml");
  if (!read) {
    if (read.error().message.find("trust.toml") == std::string::npos) std::abort();
    return 0;
  }
  const std::string text = vmsec::trust_store_text(*read);
  const auto again = vmsec::parse_trust_store(text, "trust.toml");
  if (!again || vmsec::trust_store_text(*again) != text) std::abort();
  return 0;
}
