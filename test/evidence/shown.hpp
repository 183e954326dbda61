// Evidence of a boot, quoted by a key in software.
#pragma once

#include <memory>
#include <string>

#include "event_logs.hpp"
#include "evidence/judge.hpp"
#include "soft_key.hpp"

namespace vmsec::boot::test {

inline std::string selection_bytes(PcrMask mask) {
  return {static_cast<char>(mask.bits), static_cast<char>(mask.bits >> 8), static_cast<char>(mask.bits >> 16)};
}

// A host whose TPM has been extended as `log` says.
struct Shown {
  std::shared_ptr<const SoftKey> key = std::make_shared<SoftKey>();
  QuoteDemand demand{std::string(32, 'q'), kUsualPcrs};
  Evidence evidence;

  explicit Shown(const std::string& log, PcrMask pcrs = kUsualPcrs) : Shown(replay(log).value(), log, pcrs) {}
  Shown(const Replay& was, const std::string& log, PcrMask pcrs) {
    demand.pcrs = pcrs;
    QuoteParts parts;
    parts.selection = selection_bytes(pcrs);
    parts.pcr_digest = pcr_digest(was.values, pcrs, Hash::sha256).value();
    evidence.attest = attest_bytes(parts);
    evidence.signature = key->sign(evidence.attest);
    evidence.event_log = log;
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
      if (pcrs.has(pcr)) evidence.claimed.push_back({pcr, was.values[pcr]});
  }

  [[nodiscard]] AttestationReport judged(const Reference& reference) const {
    AttestationReport report;
    judge(evidence, key->area(), demand, reference, report);
    return report;
  }
};

}  // namespace vmsec::boot::test
