#include "quoted_evidence.hpp"

#include "evidence/digest.hpp"

namespace vmsec::boot {
namespace {

constexpr unsigned kAttempts = 5;

std::vector<ClaimedPcr> claims_of(const PcrValues& values, PcrMask pcrs) {
  std::vector<ClaimedPcr> claimed;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
    if (pcrs.has(pcr)) claimed.push_back({pcr, values[pcr]});
  return claimed;
}

}  // namespace

Result<Evidence> quoted_evidence(Tpm& tpm, const KeyBlob& key, std::string_view qualifying_data,
                                 PcrSelection selection) {
  VMSEC_TRY(const auto area, public_area(key));
  VMSEC_TRY(const auto parsed, parse_public(area, "attestation key"));
  for (unsigned i = 0; i < kAttempts; ++i) {
    VMSEC_TRY(auto quoted, tpm.quote(key, qualifying_data, selection.pcrs, selection.bank));
    VMSEC_TRY(const auto values, tpm.read_pcrs(selection.pcrs, selection.bank));
    VMSEC_TRY(const auto quote, parse_quote(quoted.attest));
    VMSEC_TRY(const auto expected, pcr_digest(values, selection.pcrs, parsed.hash()));
    if (!equal(expected, quote.pcr_digest)) continue;
    Evidence evidence;
    evidence.attest = std::move(quoted.attest);
    evidence.signature = std::move(quoted.signature);
    evidence.claimed = claims_of(values, selection.pcrs);
    return evidence;
  }
  return fail(Code::unavailable, "quote: a PCR was extended at each of " + std::to_string(kAttempts) + " attempts");
}

}  // namespace vmsec::boot
