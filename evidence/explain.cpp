#include "explain.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "ima_judge.hpp"

namespace vmsec::boot {
namespace {

class Explainer {
 public:
  Explainer(const Reference& reference, ViewedBoot boot)
      : reference_(reference), boot_(std::move(boot)), replay_(boot_.replay) {}

  Result<Explanation> explain() && {
    const auto comparison = compare(reference_, replay_);
    for (auto& event : boot_.events) explanation_.events.push_back({std::move(event), {}, 0, Answer::not_covered});
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) explain_pcr(pcr);
    explanation_.cause = comparison.cause;
    VMSEC_CHECK(explain_ima());
    if (reference_.strict) apply_remarks();
    return std::move(explanation_);
  }

 private:
  void explain_pcr(std::uint32_t pcr) {
    const auto found = reference_.pcrs.find(pcr);
    const auto measured = measured_into(replay_, pcr);
    ExplainedPcr row{pcr, replay_.values[pcr], {}, 0, Answer::allowed, {}};
    const std::string name = "pcr." + std::to_string(pcr) + ".";
    if (pcr == kSecureBootPcr && reference_.secure_boot) {
      add(row, "secure_boot", reference_.line_of("secure_boot"));
      apply(row, by_secure_boot(reference_, measured));
    }
    if (found != reference_.pcrs.end()) {
      if (!found->second.sequence.empty()) {
        add(row, "sequence", reference_.line_of(name + "sequence"));
        apply(row, by_sequence(reference_, pcr, measured));
      }
      if (!found->second.events.empty()) {
        add(row, "events", reference_.line_of(name + "events"));
        apply(row, by_events(reference_, pcr, measured));
      }
      if (!found->second.values.empty()) apply_values(row, name + "values", found->second.values);
    }
    if (row.rules.empty() && measured.empty()) return;
    if (row.rules.empty()) row.answer = Answer::not_covered;
    explanation_.pcrs.push_back(std::move(row));
  }

  // By the list, where there is one: nothing else tells what leads to the PCR.
  Status explain_ima() {
    if (!boot_.ima && reference_.ima) explanation_.not_judged.push_back(kImaPcr);
    if (!boot_.ima && !reference_.ima) return {};
    VMSEC_TRY(const auto cause,
              boot_.ima ? ima_cause(reference_, &*boot_.ima, replay_) : Result<std::string>(std::string()));
    const bool is_covered = reference_.ima || reference_.pcrs.contains(kImaPcr);
    ExplainedPcr row{kImaPcr, boot_.ima ? replay_.values[kImaPcr] : "", {}, 0, Answer::not_covered, {}};
    if (reference_.ima) row.rules = {"ima"};
    if (boot_.ima && is_covered) row.answer = Answer::allowed;
    const auto place = std::ranges::lower_bound(explanation_.pcrs, kImaPcr, {}, &ExplainedPcr::pcr);
    const bool has_row = place != explanation_.pcrs.end() && place->pcr == kImaPcr;
    if (has_row && !reference_.ima) row = *place;
    if (!cause.empty()) refuse(row, cause);
    if (has_row)
      *place = std::move(row);
    else
      explanation_.pcrs.insert(place, std::move(row));
    if (explanation_.cause.empty()) explanation_.cause = cause;
    return {};
  }

  static void add(ExplainedPcr& row, const std::string& rule, std::size_t line) {
    row.rules.push_back(rule);
    if (row.line == 0) row.line = line;
  }
  static void refuse(ExplainedPcr& row, const std::string& cause) {
    row.answer = Answer::refused;
    if (row.cause.empty()) row.cause = cause;
  }

  ExplainedEvent& of(std::uint32_t number) { return explanation_.events[number]; }  // numbered from 0, without gaps

  // The first rule that says something of an event is shown, and one that refuses it before all.
  void apply(ExplainedPcr& row, const Rulings& rulings) {
    if (!rulings.cause.empty()) refuse(row, rulings.cause);
    for (const auto& ruling : rulings.events) {
      if (ruling.allowed && ruling.key.empty()) continue;
      auto& event = of(ruling.event);
      if (event.answer == Answer::refused || (event.answer == Answer::allowed && ruling.allowed)) continue;
      event.rule = ruling.key;
      event.line = ruling.line;
      event.answer = ruling.allowed ? Answer::allowed : Answer::refused;
    }
  }

  // A value vouches for all that led to it.
  void apply_values(ExplainedPcr& row, const std::string& key, const std::vector<std::string>& values) {
    std::size_t line = reference_.line_of(key);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (equal(row.value, values[i])) line = reference_.line_of(key, i);
    add(row, "values", line);
    const bool allowed = is_allowed(row.value, values);
    if (!allowed)
      refuse(row, "PCR " + std::to_string(row.pcr) + " is " + to_hex(row.value) + ", the reference says " +
                      allowed_text(values));
    for (auto& each : explanation_.events) {
      if (each.event.pcr != row.pcr || !each.event.extends || each.answer != Answer::not_covered) continue;
      each.rule = key;
      each.line = line;
      each.answer = allowed ? Answer::allowed : Answer::refused;
    }
  }

  void apply_remarks() {
    for (auto& each : explanation_.events) {
      const auto& remarks = each.event.description.remarks;
      if (remarks.empty()) continue;
      each.rule = "strict";
      each.line = reference_.line_of("strict");
      each.answer = Answer::refused;
      if (explanation_.cause.empty())
        explanation_.cause = "PCR " + std::to_string(each.event.pcr) + " event " + std::to_string(each.event.number) +
                             ": " + printable(remarks.front()) + " (the reference is strict)";
    }
  }

  const Reference& reference_;
  ViewedBoot boot_;
  const Replay& replay_;
  Explanation explanation_;
};

}  // namespace

std::string_view to_string(Answer answer) {
  switch (answer) {
    case Answer::allowed:
      return "allowed";
    case Answer::refused:
      return "refused";
    case Answer::not_covered:
      return "not covered";
  }
  return "not covered";
}

Result<Explanation> explain_boot(const Reference& reference, const BootLogs& logs) {
  VMSEC_TRY(auto boot, view_boot(logs, reference.bank));
  return Explainer(reference, std::move(boot)).explain();
}

}  // namespace vmsec::boot
