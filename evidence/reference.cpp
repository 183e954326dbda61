#include "reference.hpp"

#include <algorithm>

#include "allow_file.hpp"
#include "bytes.hpp"
#include "digest_set.hpp"
#include "files.hpp"
#include "rules.hpp"

namespace vmsec::boot {
namespace {

const Measurement* first_unknown(const Replay& replay, std::uint32_t pcr, const std::vector<std::string>& allowed) {
  DigestSet known(allowed);
  for (const auto& event : replay.measurements)
    if (event.pcr == pcr && !known.contains(event.digest)) return &event;
  return nullptr;
}

bool measured(const Replay& replay, std::uint32_t pcr) {
  return std::ranges::any_of(replay.measurements, [&](const Measurement& event) { return event.pcr == pcr; });
}

std::string describe(const Measurement& event) {
  return "event " + std::to_string(event.number) + " " + event_type_name(event.type) + " digest " +
         to_hex(event.digest);
}

std::string reference_text(const PcrReference& reference) {
  if (!reference.values.empty()) return allowed_text(reference.values);
  if (!reference.sequence.empty()) return "its sequence of " + std::to_string(reference.sequence.size());
  return "only events of its list of " + std::to_string(reference.events.size());
}

// Why the PCR is not as the reference says; empty when it is.
std::string difference(const PcrReference& reference, const Replay& replay, std::uint32_t pcr,
                       const std::string& value) {
  const std::string name = "PCR " + std::to_string(pcr);
  const auto* unknown = reference.events.empty() ? nullptr : first_unknown(replay, pcr, reference.events);
  const std::string first = unknown == nullptr ? "" : "first differing " + describe(*unknown);
  if (!reference.values.empty() && !is_allowed(value, reference.values)) {
    std::string cause = name + " is " + to_hex(value) + ", the reference says " + reference_text(reference);
    if (unknown != nullptr) return cause + "; " + first;
    return reference.events.empty() ? cause : cause + "; each of its events is known, but not in this order or number";
  }
  if (unknown != nullptr) return name + " was measured what the reference does not list: " + first;
  if (!reference.events.empty() && !measured(replay, pcr)) return name + ": nothing was measured into it";
  return {};
}

// By all rules of that PCR, the parts' first: they name what has changed.
std::string cause_of(const Reference& reference, const Replay& replay, std::uint32_t pcr) {
  const auto measured = measured_into(replay, pcr);
  const auto found = reference.pcrs.find(pcr);
  if (pcr == kSecureBootPcr && reference.secure_boot)
    if (auto cause = by_secure_boot(reference, measured).cause; !cause.empty()) return cause;
  if (found == reference.pcrs.end()) return {};
  if (!found->second.sequence.empty())
    if (auto cause = by_sequence(reference, pcr, measured).cause; !cause.empty()) return cause;
  return difference(found->second, replay, pcr, replay.values[pcr]);
}

std::string quoted(std::string_view digest) { return "\"" + to_hex(digest) + "\""; }

}  // namespace

PcrMask Reference::mask() const {
  PcrMask mask;
  for (const auto& [pcr, reference] : pcrs) mask.add(pcr);
  if (secure_boot) mask.add(kSecureBootPcr);
  if (ima) mask.bits |= kImaPcrs.bits;
  return mask;
}

std::size_t Reference::line_of(const std::string& key, std::size_t index) const {
  const auto found = lines.find(key);
  return found != lines.end() && index < found->second.size() ? found->second[index] : 0;
}

Result<Reference> read_reference(const std::string& path) {
  VMSEC_TRY(const auto text, read_file(path, kMaxReferenceBytes, "reference"));
  return whole_reference(text, path);
}

Result<Reference> whole_reference(std::string_view text, const std::string& path) {
  VMSEC_TRY(auto reference, parse_reference(text, path));
  if (reference.ima && !reference.ima->file.empty()) VMSEC_CHECK(read_allow_file(path, *reference.ima));
  return reference;
}

Comparison compare(const Reference& reference, const Replay& replay) {
  Comparison comparison;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) {
    const auto found = reference.pcrs.find(pcr);
    const bool decided = found != reference.pcrs.end() || (pcr == kSecureBootPcr && reference.secure_boot);
    if (!decided) continue;
    const std::string cause = cause_of(reference, replay, pcr);
    PcrValue row{pcr, to_string(replay.bank), to_hex(replay.values[pcr]), cause.empty(), {}};
    if (!cause.empty())
      row.reference = found == reference.pcrs.end() ? "Secure Boot on" : reference_text(found->second);
    comparison.pcrs.push_back(std::move(row));
    if (comparison.cause.empty()) comparison.cause = cause;
  }
  return comparison;
}

std::string write_reference(const Replay& replay, PcrMask pcrs, const std::string& host) {
  std::string out = "# What a host must have booted. Learned from " + printable(host, 128) +
                    ", whose TPM had quoted these values:\n# review it before you trust it.\nversion = 1\npcrs = [";
  std::string separator;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) {
    if (!pcrs.has(pcr)) continue;
    out += separator + std::to_string(pcr);
    separator = ", ";
  }
  out += "]\n";
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) {
    if (!pcrs.has(pcr)) continue;
    out += "\n[pcr." + std::to_string(pcr) + "]\nvalues = [" + quoted(replay.values[pcr]) + "]\n";
    if (!measured(replay, pcr)) continue;
    out += "events = [\n";
    for (const auto& event : replay.measurements)
      if (event.pcr == pcr)
        out += "  " + quoted(event.digest) + ",  # " + std::to_string(event.number) + " " +
               event_type_name(event.type) + "\n";
    out += "]\n";
  }
  return out;
}

}  // namespace vmsec::boot
