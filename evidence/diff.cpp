#include "diff.hpp"

#include <algorithm>
#include <ranges>
#include <set>

#include "align.hpp"
#include "ima_judge.hpp"
#include "rules.hpp"

namespace vmsec::boot {
namespace {

using Events = std::vector<const ViewedEvent*>;

std::vector<Place> places_of(const Events& events) {
  std::vector<Place> places;
  for (const auto* event : events) places.push_back({std::string(to_string(event->description.part)), {event->digest}});
  return places;
}

bool has_common(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::ranges::any_of(a, [&](const auto& each) { return std::ranges::find(b, each) != b.end(); });
}

Difference added(const ViewedEvent& event) {
  return {Change::added,         event.pcr, std::string(to_string(event.description.part)),
          event.number,          {},        to_hex(event.digest),
          event.description.text};
}

Status diff_events(const Events& before, const Events& after, std::vector<Difference>& out) {
  const auto left = places_of(before);
  const auto right = places_of(after);
  VMSEC_TRY(const auto pairs, align(left, right));
  for (const auto& pair : pairs) {
    if (!pair.left) {
      out.push_back(added(*after[*pair.right]));
      continue;
    }
    const auto& was = *before[*pair.left];
    const std::string& kind = left[*pair.left].kind;
    if (!pair.right)
      out.push_back({Change::removed, was.pcr, kind, was.number, to_hex(was.digest), {}, was.description.text});
    else if (const auto& is = *after[*pair.right]; is.digest != was.digest)
      out.push_back(
          {Change::changed, was.pcr, kind, is.number, to_hex(was.digest), to_hex(is.digest), is.description.text});
  }
  return {};
}

class ReferenceDiff {
 public:
  ReferenceDiff(const Reference& reference, const ViewedBoot& boot)
      : reference_(reference), boot_(boot), replay_(boot.replay), by_pcr_(by_pcr(boot.events)) {}

  Result<std::vector<Difference>> diff() && {
    if (reference_.secure_boot) secure_boot();
    for (const auto& [pcr, wanted] : reference_.pcrs) {
      const std::size_t before = out_.size();
      if (!wanted.sequence.empty()) VMSEC_CHECK(sequence(pcr, wanted.sequence));
      if (!wanted.events.empty()) listed(pcr, wanted);
      // A value of which the events tell nothing.
      const auto& value = replay_.values[pcr];
      if (!wanted.values.empty() && out_.size() == before && !is_allowed(value, wanted.values))
        out_.push_back({Change::changed, pcr, "value", {}, allowed_text(wanted.values), to_hex(value), {}});
    }
    if (boot_.ima) VMSEC_CHECK(files(*boot_.ima));
    return std::move(out_);
  }

 private:
  Status sequence(std::uint32_t pcr, const std::vector<Step>& steps) {
    std::vector<Place> left;
    for (const auto& step : steps) left.push_back({kind_of_part(step.part), reference_.parts.at(step.part)});
    const auto& measured = by_pcr_[pcr];
    const auto right = places_of(measured);
    VMSEC_TRY(const auto pairs, align(left, right));
    for (const auto& pair : pairs) {
      if (!pair.left) {
        out_.push_back(added(*measured[*pair.right]));
        continue;
      }
      const auto& step = steps[*pair.left];
      const std::string was = allowed_text(left[*pair.left].digests);
      if (!pair.right && !step.optional) out_.push_back({Change::removed, pcr, step.part, {}, was, {}, {}});
      if (!pair.right || has_common(left[*pair.left].digests, right[*pair.right].digests)) continue;
      const auto& is = *measured[*pair.right];
      out_.push_back({Change::changed, pcr, step.part, is.number, was, to_hex(is.digest), is.description.text});
    }
    return {};
  }

  // A list has no order, and its events no names. What it has beyond a boot whose value is allowed are alternatives.
  void listed(std::uint32_t pcr, const PcrReference& wanted) {
    const auto& allowed = wanted.events;
    std::set<std::string> seen;
    for (const auto* event : by_pcr_[pcr]) {
      seen.insert(event->digest);
      if (!is_allowed(event->digest, allowed)) out_.push_back(added(*event));
    }
    if (is_allowed(replay_.values[pcr], wanted.values)) return;
    for (const auto& digest : allowed)
      if (!seen.contains(digest)) out_.push_back({Change::removed, pcr, "event", {}, to_hex(digest), {}, {}});
  }

  // Each file that is not allowed; else the one thing that is wrong with the list. Its first is the boot's aggregate.
  Status files(const ImaList& list) {
    const std::size_t before = out_.size();
    std::set<std::string_view> told;
    for (const auto& entry : list.entries | std::views::drop(reference_.ima ? 1 : list.entries.size())) {
      const bool allowed =
          entry.violation ? reference_.ima->violations : reference_.ima->digests.contains(std::string(entry.digest));
      if (allowed || (!entry.violation && !told.insert(entry.digest).second)) continue;
      out_.push_back({Change::added,
                      kImaPcr,
                      entry.violation ? "violation" : "file",
                      entry.number,
                      {},
                      entry.violation ? "" : to_hex(entry.digest),
                      printable(entry.path, 200)});
    }
    if (out_.size() != before) return {};
    VMSEC_TRY(auto cause, ima_cause(reference_, &list, replay_));
    if (!cause.empty()) out_.push_back({Change::changed, kImaPcr, "ima", {}, {}, {}, std::move(cause)});
    return {};
  }

  void secure_boot() {
    const auto rulings = by_secure_boot(reference_, measured_into(replay_, kSecureBootPcr));
    for (const auto& ruling : rulings.events) {
      if (ruling.allowed) continue;
      const auto& event = boot_.events[ruling.event];
      auto difference = added(event);
      if (!ruling.key.empty()) difference.part = ruling.key;
      const auto list = reference_.secure_boot_lists.find(ruling.key.substr(ruling.key.find('.') + 1));
      if (list != reference_.secure_boot_lists.end()) {
        difference.change = Change::changed;
        difference.before = allowed_text(list->second);
      }
      out_.push_back(std::move(difference));
    }
  }

  const Reference& reference_;
  const ViewedBoot& boot_;
  const Replay& replay_;
  std::map<std::uint32_t, Events> by_pcr_;
  std::vector<Difference> out_;
};

}  // namespace

std::string_view to_string(Change change) {
  switch (change) {
    case Change::added:
      return "added";
    case Change::removed:
      return "removed";
    case Change::changed:
      return "changed";
  }
  return "changed";
}

std::string kind_of_part(std::string_view name) {
  const auto dash = name.rfind('-');
  const bool numbered = dash != std::string_view::npos && dash + 1 < name.size() &&
                        name.find_first_not_of("0123456789", dash + 1) == std::string_view::npos;
  return std::string(numbered ? name.substr(0, dash) : name);
}

Result<std::vector<Difference>> diff_boots(const BootLogs& before, const BootLogs& after, Hash bank) {
  VMSEC_TRY(const auto left, view_boot(before, bank));
  VMSEC_TRY(const auto right, view_boot(after, bank));
  auto was = by_pcr(left.events);
  auto is = by_pcr(right.events);
  std::vector<Difference> out;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) VMSEC_CHECK(diff_events(was[pcr], is[pcr], out));
  return out;
}

Result<std::vector<Difference>> diff_reference(const Reference& reference, const BootLogs& logs) {
  VMSEC_TRY(const auto boot, view_boot(logs, reference.bank));
  return ReferenceDiff(reference, boot).diff();
}

}  // namespace vmsec::boot
