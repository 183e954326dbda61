#include <array>
#include <cstdlib>
#include <string>

#include "evidence/bytes.hpp"
#include "evidence/quote.hpp"

using namespace vmsec::boot;

// A host's answer: key, quote and signature, each behind two bytes of length.
// No signature may be accepted by chance; the corpus' one honest quote must
// stay what it is.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  ByteReader reader({reinterpret_cast<const char*>(data), size});
  const auto key_bytes = reader.sized();
  const auto attest = reader.sized();
  const auto signature = reader.sized();
  if (attest) static_cast<void>(parse_quote(*attest));
  if (!key_bytes) return 0;
  const auto key = parse_public(*key_bytes, "fuzzed key");
  if (!key) return 0;
  if (key->bytes != *key_bytes || key->name().size() != 2 + digest_size(key->name_hash).value_or(0)) std::abort();
  static_cast<void>(check_attestation_key(*key));
  static_cast<void>(check_endorsement_key(*key));
  if (!signature) return 0;
  const auto quote = verify_quote(*key, *attest, *signature, {std::string(32, 'q'), kUsualPcrs});
  if (quote && (quote->pcrs != kUsualPcrs || quote->qualifying_data != std::string(32, 'q'))) std::abort();
  return 0;
}
