// Any bytes as a signature file: an error that names it, or what is written back as the same.
#include <cstdlib>

#include "vmsec/trust.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = vmsec::parse_signature_file({reinterpret_cast<const char*>(data), size}, "x.so.sig");
  if (!read) {
    if (read.error().message.find("x.so.sig") == std::string::npos) std::abort();
    return 0;
  }
  const std::string text = vmsec::signature_file_text(*read);
  const auto again = vmsec::parse_signature_file(text, "x.so.sig");
  if (!again || vmsec::signature_file_text(*again) != text) std::abort();
  return 0;
}
