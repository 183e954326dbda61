// A TPM's quote (TPMS_ATTEST and TPMT_SIGNATURE), read and verified without a TPM.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pcr_mask.hpp"
#include "replay.hpp"
#include "tpm_public.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

struct Quote {
  std::uint32_t magic = 0;
  std::uint16_t type = 0;
  std::string qualified_signer;
  std::string qualifying_data;
  std::uint64_t clock = 0;
  std::uint32_t reset_count = 0;
  std::uint32_t restart_count = 0;
  bool safe = false;
  std::uint64_t firmware_version = 0;
  Hash bank = Hash::sha256;
  PcrMask pcrs;
  Hash digest_hash = Hash::sha256;  // of the next: the signing scheme's, whatever bank it is over
  std::string pcr_digest;
};

// A TPMS_ATTEST of a quote over PCRs of one bank. Errors name byte and cause.
Result<Quote> parse_quote(std::string_view attest);

// A TPMT_SIGNATURE by the key over the bytes. `tampered` when it is not.
Status verify_signature(const TpmPublic& key, std::string_view attest, std::string_view signature);

struct QuoteDemand {
  std::string qualifying_data;
  PcrMask pcrs;
  Hash bank = Hash::sha256;
};

// The quote, when it is the key's, over just this data and just these PCRs of that bank. What
// the PCRs' digest means is for the caller to compare.
Result<Quote> verify_quote(const TpmPublic& key, std::string_view attest, std::string_view signature,
                           const QuoteDemand& demand);

// The digest that a quote over these PCRs holds, by its key's signing hash (TPM 2.0 part 3, TPM2_Quote).
Result<std::string> pcr_digest(const PcrValues& values, PcrMask pcrs, Hash hash);

}  // namespace vmsec::boot
