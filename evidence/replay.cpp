#include "replay.hpp"

#include <algorithm>

namespace vmsec::boot {
namespace {

constexpr std::string_view kStartupLocality("StartupLocality\0", 16);
constexpr std::size_t kUsualEventBytes = 128;  // with its two digests

std::unexpected<Error> bad(const Event& event, const std::string& cause) {
  return fail(Code::invalid_argument, "event log, byte " + std::to_string(event.offset) + ", event " +
                                          std::to_string(event.number) + ": " + cause);
}

class Replayer {
 public:
  Replayer(const Bank& bank, std::size_t log_bytes) {
    replay_.bank = bank.hash;
    replay_.measurements.reserve(log_bytes / kUsualEventBytes);
    for (auto& value : replay_.values) value.assign(bank.size, '\0');
  }

  Status feed(const Event& event) {
    replay_.events = event.number + 1;
    if (!event.extends()) return startup_locality(event);
    extended_[event.pcr] = true;
    const auto measured = *event.digest(replay_.bank);
    replay_.measurements.push_back({event.number, event.pcr, event.type, DigestBytes(measured)});
    auto& value = replay_.values[event.pcr];
    const auto extended = extend(value, measured);
    return extended ? extended : bad(event, extended.error().message);
  }

  // PCR 17 to 22 start as all ones, and at zero once a late launch has reset them to measure into them.
  Replay finish() && {
    for (std::size_t pcr = 17; pcr <= 22; ++pcr)
      if (!extended_[pcr]) replay_.values[pcr].assign(replay_.values[pcr].size(), '\xff');
    return std::move(replay_);
  }

 private:
  Status extend(std::string& value, std::string_view measured) {
    if (!digester_) {
      VMSEC_TRY(digester_, Digester::create(replay_.bank));
    }
    return digester_->digest({value, measured}, value);
  }

  Status startup_locality(const Event& event) {
    if (!event.data.starts_with(kStartupLocality)) return {};
    if (event.data.size() != kStartupLocality.size() + 1) return bad(event, "StartupLocality of a wrong size");
    const char locality = event.data.back();
    if (locality != 0 && locality != 3 && locality != 4)
      return bad(event, "StartupLocality " + std::to_string(static_cast<std::uint8_t>(locality)) + ", want 0, 3 or 4");
    if (located_) return bad(event, "a second StartupLocality");
    if (extended_[0]) return bad(event, "StartupLocality after PCR 0 was extended");
    located_ = true;
    replay_.values[0].back() = locality;
    return {};
  }

  Replay replay_;
  std::optional<Digester> digester_;  // from the first event on that extends: before it, nothing needs OpenSSL
  std::array<bool, kPcrCount> extended_{};
  bool located_ = false;
};

}  // namespace

Result<Replay> replay(std::string_view log, Hash bank) {
  VMSEC_TRY(auto reader, EventLogReader::open(log));
  const auto found = std::ranges::find(reader.banks(), bank, &Bank::hash);
  if (found == reader.banks().end() || !digest_size(bank))
    return fail(Code::invalid_argument, "the event log has no " + to_string(bank) + " digests");
  Replayer replayer(*found, log.size());
  Event event;
  while (true) {
    VMSEC_TRY(const bool more, reader.next(event));
    if (!more) return std::move(replayer).finish();
    VMSEC_CHECK(replayer.feed(event));
  }
}

}  // namespace vmsec::boot
