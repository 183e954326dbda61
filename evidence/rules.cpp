#include "rules.hpp"

#include <algorithm>

#include "bytes.hpp"

namespace vmsec::boot {

Measured measured_into(const Replay& replay, std::uint32_t pcr) {
  Measured measured;
  for (const auto& event : replay.measurements)
    if (event.pcr == pcr) measured.push_back(&event);
  return measured;
}

bool is_allowed(std::string_view digest, const std::vector<std::string>& allowed) {
  return std::ranges::find(allowed, digest) != allowed.end();
}

std::string allowed_text(const std::vector<std::string>& allowed) {
  std::string out = to_hex(allowed.front());
  if (allowed.size() > 1) out += " or " + std::to_string(allowed.size() - 1) + " more";
  return out;
}

Rulings by_events(const Reference& reference, std::uint32_t pcr, const Measured& measured) {
  const std::string name = "PCR " + std::to_string(pcr);
  const std::string key = "pcr." + std::to_string(pcr) + ".events";
  const auto& events = reference.pcrs.at(pcr).events;
  Rulings rulings;
  for (const auto* each : measured) {
    Ruling ruling{each->number, {}, 0, false};
    for (std::size_t i = 0; i < events.size() && !ruling.allowed; ++i)
      if (equal(each->digest, events[i])) ruling = {each->number, key, reference.line_of(key, i), true};
    if (!ruling.allowed && rulings.cause.empty())
      rulings.cause = name + " was measured what the reference does not list: first differing event " +
                      std::to_string(each->number) + " " + event_type_name(each->type) + " digest " +
                      to_hex(each->digest);
    rulings.events.push_back(std::move(ruling));
  }
  if (measured.empty()) rulings.cause = name + ": nothing was measured into it";
  return rulings;
}

}  // namespace vmsec::boot
