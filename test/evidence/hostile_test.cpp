// A host that sends what it likes: none of it is ever trusted, and each refusal says why.
#include <catch2/catch.hpp>
#include <functional>
#include <random>

#include "shown.hpp"

namespace vmsec::boot::test {
namespace {

constexpr std::size_t kLogs = 600;
constexpr std::size_t kQuotes = 300;

// Where the events of a log lie.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::vector<Span> spans_of(const std::string& log) {
  auto reader = EventLogReader::open(log).value();
  std::vector<Span> spans;
  while (const auto event = reader.next().value()) {
    if (!spans.empty()) spans.back().end = event->offset;
    spans.push_back({event->offset, log.size()});
  }
  return spans;
}

// What the log does not say with its types and texts left out: whose PCR, and which digest.
std::vector<std::pair<std::uint32_t, std::string>> measured_by(const std::string& log) {
  std::vector<std::pair<std::uint32_t, std::string>> all;
  if (const auto replayed = replay(log))
    for (const auto& event : replayed->measurements) all.emplace_back(event.pcr, event.digest);
  return all;
}

class Mutator {
 public:
  Mutator(std::string good, std::uint32_t seed) : good_(std::move(good)), spans_(spans_of(good_)), random_(seed) {}

  std::string next() {
    switch (below(7)) {
      case 0:
        return flipped();
      case 1:
        return good_.substr(0, below(good_.size()));
      case 2:
        return resized();
      case 3:
        return swapped();
      case 4:
        return doubled();
      case 5:
        return removed();
      default:
        return another_pcr();
    }
  }

  // Each event's type in turn, as an attacker names it.
  std::string relabelled() {
    std::string log = good_;
    const auto& span = event();
    for (std::size_t i = 0; i < 4; ++i) log[span.begin + 4 + i] = static_cast<char>(below(256));
    return log;
  }

  std::size_t below(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }

 private:
  // The header aside.
  const Span& event() { return spans_[1 + below(spans_.size() - 1)]; }
  std::string text(const Span& span) { return good_.substr(span.begin, span.end - span.begin); }

  std::string flipped() {
    std::string log = good_;
    const std::size_t count = 1 + below(4);
    for (std::size_t i = 0; i < count; ++i) log[below(log.size())] ^= static_cast<char>(1U << below(8));
    return log;
  }
  std::string resized() {
    std::string log = good_;
    const auto& span = event();
    const std::size_t place = span.begin + 8 + 4 * below(2);  // the number of digests, or into them
    log[place + below(4)] = static_cast<char>(below(256));
    return log;
  }
  std::string swapped() {
    const std::size_t first = 1 + below(spans_.size() - 2);
    const std::size_t second = first + 1 + below(spans_.size() - first - 1);
    std::string log = good_;
    log.replace(spans_[second].begin, spans_[second].end - spans_[second].begin, text(spans_[first]));
    log.replace(spans_[first].begin, spans_[first].end - spans_[first].begin, text(spans_[second]));
    return log;
  }
  std::string doubled() {
    const auto& span = event();
    std::string log = good_;
    return log.insert(span.end, text(span));
  }
  std::string removed() {
    const auto& span = event();
    std::string log = good_;
    return log.erase(span.begin, span.end - span.begin);
  }
  std::string another_pcr() {
    std::string log = good_;
    log[event().begin] ^= static_cast<char>(1 + below(255));
    return log;
  }

  const std::string good_;
  const std::vector<Span> spans_;
  std::mt19937 random_;
};

Reference learned_from(const std::string& log) {
  return parse_reference(write_reference(replay(log).value(), kUsualPcrs, "host-a"), "learned").value();
}

}  // namespace

TEST_CASE("of hundreds of changed logs none is trusted, and each has its cause") {
  const auto good = ovmf_log();
  const auto reference = learned_from(good);
  Shown shown(good);
  REQUIRE(shown.judged(reference).verdict == Verdict::trusted);
  const auto measured = measured_by(good);
  Mutator mutator(good, 20260101);
  std::size_t tried = 0;
  while (tried < kLogs) {
    shown.evidence.event_log = mutator.next();
    // Two alike that are swapped, a bit of an event's text: what was measured is the same, and so is the verdict.
    if (measured_by(shown.evidence.event_log) == measured) continue;
    // As are events of other PCRs in another order: each PCR's own is what counts, and its quote tells.
    const auto replayed = replay(shown.evidence.event_log);
    if (replayed && replayed->values == replay(good)->values) continue;
    ++tried;
    const auto report = shown.judged(reference);
    INFO("changed log " << tried);
    REQUIRE(report.verdict == Verdict::untrusted);
    REQUIRE_FALSE(report.cause.empty());
  }
}

TEST_CASE("a host that has truly booted a changed log is not trusted either") {
  const auto good = ovmf_log();
  const auto reference = learned_from(good);
  const auto values = replay(good)->values;
  Mutator mutator(good, 20260102);
  std::size_t tried = 0;
  for (std::size_t i = 0; i < 2 * kLogs; ++i) {
    const auto log = mutator.next();
    const auto replayed = replay(log);
    if (!replayed || replayed->values == values) continue;
    ++tried;
    const auto comparison = compare(reference, *replayed);
    bool covered = false;  // an event may have gone to a PCR that the reference does not cover
    for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
      covered |= kUsualPcrs.has(pcr) && replayed->values[pcr] != values[pcr];
    REQUIRE(comparison.cause.empty() == !covered);
  }
  CHECK(tried > 100);
}

TEST_CASE("an event that is called something else is neither trusted more for it nor less") {
  const auto good = ovmf_log();
  const auto reference = learned_from(good);
  Shown honest(good);
  Shown changed = honest;
  std::string bad = good;
  bad[spans_of(good)[10].begin + 40] ^= 1;  // within the boot loader's digests
  Mutator mutator(good, 20260103);
  Mutator bad_mutator(bad, 20260103);
  for (std::size_t i = 0; i < 200; ++i) {
    honest.evidence.event_log = mutator.relabelled();
    // EV_NO_ACTION extends nothing: that is said by the type, and the quote tells that it is not so.
    const bool same = measured_by(honest.evidence.event_log) == measured_by(good);
    REQUIRE((honest.judged(reference).verdict == Verdict::trusted) == same);
    changed.evidence.event_log = bad_mutator.relabelled();
    REQUIRE(changed.judged(reference).verdict == Verdict::untrusted);
  }
}

TEST_CASE("of hundreds of changed quotes none is accepted, and each has its cause") {
  const auto good = ovmf_log();
  const auto reference = learned_from(good);
  const Shown honest(good);
  std::mt19937 random(20260104);
  const auto below = [&](std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
  };
  std::size_t tried = 0;
  while (tried < kQuotes) {
    Shown shown = honest;
    auto& bytes = tried % 2 == 0 ? shown.evidence.attest : shown.evidence.signature;
    switch (below(4)) {
      case 0:
        bytes[below(bytes.size())] ^= static_cast<char>(1U << below(8));
        break;
      case 1:
        bytes.resize(below(bytes.size()));
        break;
      case 2:
        bytes.insert(below(bytes.size() + 1), 1 + below(4), static_cast<char>(below(256)));
        break;
      default:
        std::swap(bytes[below(bytes.size())], bytes[below(bytes.size())]);
    }
    if (shown.evidence.attest == honest.evidence.attest && shown.evidence.signature == honest.evidence.signature)
      continue;
    ++tried;
    const auto report = shown.judged(reference);
    INFO("changed quote " << tried);
    REQUIRE(report.verdict == Verdict::untrusted);
    REQUIRE_FALSE(report.cause.empty());
  }
}

}  // namespace vmsec::boot::test
