#include "judge.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "digest.hpp"

namespace vmsec::boot {
namespace {

// The host's claim about its PCRs is of use once the quote's digest confirms it.
Result<std::optional<PcrValues>> confirmed_claim(const Evidence& evidence, const Quote& quote) {
  PcrValues values;
  PcrMask given;
  for (const auto& claim : evidence.claimed) {
    if (claim.pcr >= kPcrCount || given.has(claim.pcr) || claim.value.size() != digest_size(quote.bank))
      return std::nullopt;
    given.add(claim.pcr);
    values[claim.pcr] = claim.value;
  }
  if (given != quote.pcrs) return std::nullopt;
  VMSEC_TRY(const auto claimed, pcr_digest(values, quote.pcrs, quote.digest_hash));
  if (!equal(claimed, quote.pcr_digest)) return std::nullopt;
  return values;
}

// The log does not lead to what was quoted: which PCR is it?
Result<std::string> explain(const Evidence& evidence, const Quote& quote, const PcrValues& replayed) {
  VMSEC_TRY(const auto claimed, confirmed_claim(evidence, quote));
  if (claimed) {
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
      if (quote.pcrs.has(pcr) && !equal((*claimed)[pcr], replayed[pcr]))
        return "PCR " + std::to_string(pcr) + " is " + to_hex((*claimed)[pcr]) +
               " in the TPM, the event log leads to " + to_hex(replayed[pcr]);
  }
  return "the event log does not lead to the PCRs that were quoted (" + to_string(quote.pcrs) + ")";
}

// Which module it is, where the reference does not accept the PCR that they are measured into.
std::string unknown_module(const Reference& reference, const Confirmed& confirmed, const AttestationReport& report) {
  for (const auto& row : report.pcrs) {
    if (row.expected) continue;
    const auto& known = reference.pcrs.at(row.pcr).events;
    for (const auto& each : confirmed.modules.objects) {
      const auto found = std::ranges::find(each.digests, confirmed.replay.bank, &EventDigest::hash);
      if (each.pcr != row.pcr || found == each.digests.end() || std::ranges::find(known, found->bytes) != known.end())
        continue;
      return "; " + each.object.kind + " " + each.object.name + " is " + each.object.digest +
             ", which the reference does not have";
    }
  }
  return {};
}

}  // namespace

Result<Confirmed> confirm(const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand,
                          AttestationReport& report) {
  Confirmed confirmed;
  VMSEC_TRY(confirmed.quote, verify_quote(key, evidence.attest, evidence.signature, demand));
  report.reset_count = confirmed.quote.reset_count;
  report.restart_count = confirmed.quote.restart_count;
  VMSEC_TRY(confirmed.replay, replay(evidence.event_log, demand.bank));
  if (!evidence.module_log.empty()) {
    VMSEC_TRY(confirmed.modules, replay_modules(confirmed.replay, evidence.module_log));
  }
  report.events = confirmed.replay.events;
  VMSEC_TRY(const auto expected, pcr_digest(confirmed.replay.values, demand.pcrs, confirmed.quote.digest_hash));
  if (equal(expected, confirmed.quote.pcr_digest)) return confirmed;
  VMSEC_TRY(auto cause, explain(evidence, confirmed.quote, confirmed.replay.values));
  return fail(Code::untrusted, std::move(cause));
}

void judge(const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand, const Reference& reference,
           AttestationReport& report) {
  report.verdict = Verdict::untrusted;
  const auto confirmed = confirm(evidence, key, demand, report);
  if (!confirmed) {
    report.cause = confirmed.error().message;
    return;
  }
  auto comparison = compare(reference, confirmed->replay);
  report.pcrs = std::move(comparison.pcrs);
  report.cause = std::move(comparison.cause);
  report.cause += unknown_module(reference, *confirmed, report);
  if (report.cause.empty()) report.verdict = Verdict::trusted;
}

}  // namespace vmsec::boot
