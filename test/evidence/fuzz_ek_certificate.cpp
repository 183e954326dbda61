#include <cstdlib>
#include <string>

#include "evidence/bytes.hpp"
#include "evidence/ek_certificate.hpp"

using namespace vmsec::boot;

// What another host sends as its endorsement key and that key's certificate, each
// behind two bytes of length, and what a file has as roots.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  ByteReader reader(all);
  const auto key_bytes = reader.sized();
  const auto certificate = reader.sized();
  if (!key_bytes || !certificate) return 0;
  // The same bytes as intermediate certificates in NV: none is lost, none is made up.
  std::size_t split = 0;
  for (const auto& each : split_certificates(all)) split += each.size();
  if (split > all.size()) std::abort();
  const std::string roots(all.substr(4 + key_bytes->size() + certificate->size()));
  const auto count = check_roots(roots);
  if (count && *count == 0) std::abort();
  const auto key = parse_public(*key_bytes, "fuzzed key");
  if (key && !count && verify_ek_certificate(*certificate, {}, *key, roots)) std::abort();
  return 0;
}
