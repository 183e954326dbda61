#include <cstdlib>
#include <string>

#include "evidence/judge.hpp"

using namespace vmsec::boot;

namespace {

// A P-256 key whose private half nobody has kept: its point is the curve's generator.
std::string key_bytes() {
  const std::string head("\x00\x23\x00\x0b\x00\x05\x00\x72\x00\x00\x00\x10\x00\x18\x00\x0b\x00\x03\x00\x10", 20);
  const auto x = from_hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
  const auto y = from_hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5");
  return head + sized(*x) + sized(*y);
}

}  // namespace

// Bytes as a host sends them: evidence or not, but never evidence that is trusted. (The generator's own key is 1:
// whoever fuzzes knows it, a mutation does not.)
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const auto key = parse_public(key_bytes(), "fuzzed key");
  static const auto reference = parse_reference(
      "pcrs = [4]\nstrict = true\nsecure_boot = true\n[pcr.4]\nsequence = [\"a?\", \"a\"]\n[part.a]\ndigests = "
      "[\"0101010101010101010101010101010101010101010101010101010101010101\"]\n",
      "fuzzed");
  if (!key || !reference) std::abort();
  const auto evidence = vmsec::wire::decode<Evidence>({reinterpret_cast<const char*>(data), size});
  if (!evidence) return 0;
  vmsec::AttestationReport report;
  judge(*evidence, *key, {std::string(32, 'q'), PcrMask{0x90}}, *reference, report);
  if (report.verdict != vmsec::Verdict::untrusted || report.cause.empty()) std::abort();
  // Past the signature, too: what a log says is compared, whoever has signed it.
  if (const auto replayed = replay(evidence->event_log)) static_cast<void>(compare(*reference, *replayed));
  return 0;
}
