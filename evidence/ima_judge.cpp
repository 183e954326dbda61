#include "ima_judge.hpp"

#include <algorithm>

#include "bytes.hpp"

namespace vmsec::boot {
namespace {

Result<std::string> boot_aggregate(const Replay& replay) {
  std::string values;
  for (std::size_t pcr = 0; pcr < kImaPcr; ++pcr) values += replay.values[pcr];
  return digest(replay.bank, {values});
}

std::string name_of(const ImaEntry& entry) {
  return "IMA entry " + std::to_string(entry.number) + " (" + printable(entry.path, 200) + ")";
}

Result<std::string> aggregate_cause(const ImaEntry& entry, const Replay& replay) {
  if (entry.violation || entry.pcr != kImaPcr || entry.path != "boot_aggregate")
    return name_of(entry) + ": the first is not the boot's aggregate, in PCR 10";
  if (entry.hash != replay.bank)
    return name_of(entry) + ": it is by " + to_string(entry.hash) + ", and " + to_string(replay.bank) + " was quoted";
  VMSEC_TRY(const auto expected, boot_aggregate(replay));
  if (equal(entry.digest, expected)) return std::string();
  return name_of(entry) + ": it is " + to_hex(entry.digest) + ", PCR 0 to 9 lead to " + to_hex(expected);
}

Result<std::string> list_cause(const ImaReference& reference, const ImaList& list, const Replay& replay) {
  if (!reference.file.empty() && !reference.file_read)
    return "the reference's allow list " + reference.file + " was not read";
  const std::size_t count = list.quoted.value_or(0);
  if (count == 0) return std::string("IMA has measured nothing, not even the boot's aggregate");
  VMSEC_TRY(auto cause, aggregate_cause(list.entries[0], replay));
  if (!cause.empty()) return cause;
  for (std::size_t i = 1; i < count && i < list.entries.size(); ++i) {
    const auto& entry = list.entries[i];
    if (entry.pcr != kImaPcr) return name_of(entry) + ": it was measured into PCR " + std::to_string(entry.pcr);
    if (entry.violation && reference.violations) continue;
    if (entry.violation) return name_of(entry) + ": a violation: it was written to while it was measured";
    if (!reference.digests.contains(std::string(entry.digest)))
      return name_of(entry) + ": " + to_string(entry.hash) + " " + to_hex(entry.digest) + " is not in the allow list";
  }
  return std::string();
}

// A rule for PCR 10's events sees the event log's alone. A list of which nothing is known to be quoted counts as a
// whole.
std::string unseen_by_rules(const ImaList& list, const Reference& reference) {
  const auto rules = reference.pcrs.find(kImaPcr);
  if (rules == reference.pcrs.end() || list.quoted.value_or(list.entries.size()) == 0) return {};
  if (rules->second.events.empty() && rules->second.sequence.empty()) return {};
  return "PCR 10 was extended by IMA, of which the reference says nothing";
}

}  // namespace

Result<std::string> ima_cause(const Reference& reference, const ImaList* list, const Replay& replay) {
  if (!reference.ima) return list == nullptr ? std::string() : unseen_by_rules(*list, reference);
  // What the event log has there no rule looks at: all that IMA has measured could be told in it.
  const auto beside = std::ranges::find(replay.measurements, kImaPcr, &Measurement::pcr);
  if (beside != replay.measurements.end())
    return "event " + std::to_string(beside->number) + " of the event log is of PCR 10, which is IMA's";
  if (list == nullptr) return std::string("the host shows no IMA list ([tpm] ima_list in its vmsecd.toml)");
  return list_cause(*reference.ima, *list, replay);
}

}  // namespace vmsec::boot
