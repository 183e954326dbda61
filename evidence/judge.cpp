#include "judge.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "describe.hpp"
#include "digest.hpp"
#include "ima_judge.hpp"

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
        return "PCR " + std::to_string(pcr) + " is " + to_hex((*claimed)[pcr]) + " in the TPM, the " +
               (pcr == kImaPcr && !evidence.ima_list.empty() ? "IMA list" : "event log") + " leads to " +
               to_hex(replayed[pcr]);
  }
  return "the event log does not lead to the PCRs that were quoted (" + to_string(quote.pcrs) + ")";
}

// Which module it is, where the reference does not accept the PCR that they are measured into.
std::string unknown_module(const Reference& reference, const Confirmed& confirmed, const AttestationReport& report) {
  for (const auto& row : report.pcrs) {
    const auto rules = reference.pcrs.find(row.pcr);  // none: by Secure Boot's or IMA's rules alone
    if (row.expected || row.pcr != confirmed.modules.start.pcr || rules == reference.pcrs.end()) continue;
    const auto& known = rules->second.events;
    if (known.empty()) continue;  // a sequence names what it refuses by itself
    for (const auto& each : confirmed.modules.objects) {
      const auto found = std::ranges::find(each.digests, confirmed.replay.bank, &EventDigest::hash);
      if (found == each.digests.end() || std::ranges::find(known, found->bytes) != known.end()) continue;
      return "; " + each.object.kind + " " + each.object.name + " is " + each.object.digest +
             ", which the reference does not have";
    }
  }
  return {};
}

// What the host says of PCR 10 tells where in the list the quote was made; the quote's digest tells whether it is so.
Status confirm_ima(const Evidence& evidence, Confirmed& confirmed) {
  if (evidence.ima_list.empty() || !confirmed.quote.pcrs.has(kImaPcr)) return {};
  auto& replay = confirmed.replay;
  const auto claim = std::ranges::find(evidence.claimed, kImaPcr, &ClaimedPcr::pcr);
  if (claim == evidence.claimed.end()) return fail(Code::untrusted, "the host does not say what its PCR 10 is");
  auto& value = replay.values[kImaPcr];
  VMSEC_TRY(confirmed.ima, read_ima(evidence.ima_list, replay.bank, ImaQuote{value, claim->value}));
  value = confirmed.ima.quoted ? claim->value : confirmed.ima.pcr;
  return {};
}

// A rule whose PCR was not quoted decides nothing: then nothing is trusted.
std::string unquoted(const Reference& reference, const QuoteDemand& demand) {
  if (reference.bank != demand.bank)
    return "the reference is of bank " + to_string(reference.bank) + ", quoted was " + to_string(demand.bank);
  const PcrMask absent{reference.mask().bits & ~demand.pcrs.bits};
  if (absent.bits == 0) return {};
  return "the reference speaks of PCR " + to_string(absent) + ", which was not quoted";
}

// What is odd about an event by what it says of itself. That can only ever refuse.
Result<std::string> remark(std::string_view log) {
  VMSEC_TRY(auto reader, EventLogReader::open(log));
  Describer describer(reader.banks());
  while (true) {
    VMSEC_TRY(const auto event, reader.next());
    if (!event) return std::string();
    const auto description = describer.describe(*event);
    if (description.remarks.empty()) continue;
    return "PCR " + std::to_string(event->pcr) + " event " + std::to_string(event->number) + " " +
           event_type_name(event->type) + ": " + printable(description.remarks.front()) + " (the reference is strict)";
  }
}

Status judge_ima(const Evidence& evidence, const Confirmed& confirmed, const Reference& reference,
                 AttestationReport& report) {
  const auto& replay = confirmed.replay;
  VMSEC_TRY(auto cause, ima_cause(reference, evidence.ima_list.empty() ? nullptr : &confirmed.ima, replay));
  if (reference.ima)
    report.pcrs.push_back({kImaPcr, to_string(replay.bank), to_hex(replay.values[kImaPcr]), cause.empty(),
                           cause.empty() ? "" : "files of its allow list"});
  if (report.cause.empty()) report.cause = std::move(cause);
  return {};
}

// The rules in the order in which they are told of.
Status judge_confirmed(const Evidence& evidence, const Confirmed& confirmed, const Reference& reference,
                       AttestationReport& report) {
  auto comparison = compare(reference, confirmed.replay);
  report.pcrs = std::move(comparison.pcrs);
  report.cause = std::move(comparison.cause);
  VMSEC_CHECK(judge_ima(evidence, confirmed, reference, report));
  if (!reference.strict || !report.cause.empty()) return {};
  VMSEC_TRY(report.cause, remark(evidence.event_log));
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
    VMSEC_TRY(confirmed.modules, replay_modules(confirmed.replay, evidence.module_log, evidence.claimed));
  }
  report.events = confirmed.replay.events;
  VMSEC_CHECK(confirm_ima(evidence, confirmed));
  VMSEC_TRY(const auto expected, pcr_digest(confirmed.replay.values, demand.pcrs, confirmed.quote.digest_hash));
  if (equal(expected, confirmed.quote.pcr_digest)) return confirmed;
  VMSEC_TRY(auto cause, explain(evidence, confirmed.quote, confirmed.replay.values));
  return fail(Code::untrusted, std::move(cause));
}

void judge(const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand, const Reference& reference,
           AttestationReport& report) {
  report.verdict = Verdict::untrusted;
  report.cause = unquoted(reference, demand);
  if (!report.cause.empty()) return;
  const auto confirmed = confirm(evidence, key, demand, report);
  if (!confirmed) {
    report.cause = confirmed.error().message;
    return;
  }
  if (const auto judged = judge_confirmed(evidence, *confirmed, reference, report); !judged) {
    report.cause = judged.error().message;
    return;
  }
  report.cause += unknown_module(reference, *confirmed, report);
  if (report.cause.empty()) report.verdict = Verdict::trusted;
}

}  // namespace vmsec::boot
