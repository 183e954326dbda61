// The audit line parser, over any bytes, and over any bytes that are given the
// right hash: what it takes is written back as it was.
#include <openssl/evp.h>

#include <cstdlib>
#include <string>

#include "vmsec/audit.hpp"

namespace {

void check(std::string_view line) {
  const auto record = vmsec::parse_audit_line(line);
  if (record && vmsec::audit_line(*record) != line) std::abort();
}

std::string with_hash(std::string_view hashed) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "vmsec audit record v1";
  text += '\0';
  text += hashed;
  unsigned char digest[32];
  if (EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr) != 1) std::abort();
  std::string line(hashed);
  line += ",\"hash\":\"";
  for (const unsigned char byte : digest) (line += kDigits[byte >> 4]) += kDigits[byte & 15];
  return line + "\"}";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  check(with_hash(bytes));
  return 0;
}
