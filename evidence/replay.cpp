#include "replay.hpp"

#include <algorithm>

namespace vmsec::boot {
namespace {

constexpr std::string_view kStartupLocality("StartupLocality\0", 16);

std::unexpected<Error> bad(const Event& event, const std::string& cause) {
  return fail(Code::invalid_argument, "event log, byte " + std::to_string(event.offset) + ", event " +
                                          std::to_string(event.number) + ": " + cause);
}

class Replayer {
 public:
  explicit Replayer(const std::vector<Bank>& banks) {
    for (const auto& bank : banks) {
      if (!digest_size(bank.hash)) continue;
      BankReplay start{bank.hash, {}};
      for (auto& value : start.values) value.assign(bank.size, '\0');
      replay_.banks.push_back(std::move(start));
    }
  }

  Status feed(const Event& event) {
    replay_.events = event.number + 1;
    if (!event.extends()) return startup_locality(event);
    extended_[event.pcr] = true;
    replay_.measurements.push_back(
        {event.number, event.pcr, event.type, std::string(event.digest(Hash::sha256).value_or(""))});
    for (auto& bank : replay_.banks) {
      auto& value = bank.values[event.pcr];
      auto next = digest(bank.hash, {value, *event.digest(bank.hash)});
      if (!next) return bad(event, next.error().message);
      value = std::move(*next);
    }
    return {};
  }

  // PCR 17 to 22 start as all ones, and at zero once a late launch has reset them to measure into them.
  Replay finish() && {
    for (auto& bank : replay_.banks)
      for (std::size_t pcr = 17; pcr <= 22; ++pcr)
        if (!extended_[pcr]) bank.values[pcr].assign(bank.values[pcr].size(), '\xff');
    return std::move(replay_);
  }

 private:
  Status startup_locality(const Event& event) {
    if (!event.data.starts_with(kStartupLocality)) return {};
    if (event.data.size() != kStartupLocality.size() + 1) return bad(event, "StartupLocality of a wrong size");
    const char locality = event.data.back();
    if (locality != 0 && locality != 3 && locality != 4)
      return bad(event, "StartupLocality " + std::to_string(static_cast<std::uint8_t>(locality)) + ", want 0, 3 or 4");
    if (located_) return bad(event, "a second StartupLocality");
    if (extended_[0]) return bad(event, "StartupLocality after PCR 0 was extended");
    located_ = true;
    for (auto& bank : replay_.banks) bank.values[0].back() = locality;
    return {};
  }

  Replay replay_;
  std::array<bool, kPcrCount> extended_{};
  bool located_ = false;
};

}  // namespace

const BankReplay* Replay::bank(Hash hash) const {
  const auto found = std::ranges::find(banks, hash, &BankReplay::hash);
  return found == banks.end() ? nullptr : &*found;
}

Result<Replay> replay(std::string_view log) {
  VMSEC_TRY(auto reader, EventLogReader::open(log));
  Replayer replayer(reader.banks());
  while (true) {
    VMSEC_TRY(auto event, reader.next());
    if (!event) return std::move(replayer).finish();
    VMSEC_CHECK(replayer.feed(*event));
  }
}

}  // namespace vmsec::boot
