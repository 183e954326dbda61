// TCG PC Client event logs, one event at a time.
//
// Both forms: crypto-agile (TCG_PCR_EVENT2 behind a "Spec ID Event03" header,
// with the digest algorithms that the header lists) and the old SHA-1 form
// (TCG_PCR_EVENT). The bytes are another host's: every length is checked, and
// every error names byte, event and cause.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bytes.hpp"
#include "digest.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

inline constexpr std::size_t kMaxLogBytes = std::size_t{1} << 20;
inline constexpr std::uint32_t kMaxEvents = 16384;
inline constexpr std::uint32_t kMaxAlgorithms = 16;
inline constexpr std::uint32_t kPcrCount = 24;
inline constexpr std::uint32_t kNoAction = 0x00000003;  // EV_NO_ACTION: informs, extends nothing

// "EV_SEPARATOR"; "event type 0x1234" for one that has no name.
std::string event_type_name(std::uint32_t type);

struct Bank {
  Hash hash = Hash::sha256;
  std::size_t size = 0;
};

struct EventDigest {
  Hash hash = Hash::sha256;
  std::string_view bytes;
};

// Views into the log.
struct Event {
  std::uint32_t number = 0;
  std::size_t offset = 0;
  std::uint32_t pcr = 0;
  std::uint32_t type = 0;
  std::vector<EventDigest> digests;  // each of the log's banks once, unless it extends nothing
  std::string_view data;

  [[nodiscard]] bool extends() const { return type != kNoAction; }
  [[nodiscard]] std::optional<std::string_view> digest(Hash hash) const;
};

// Borrows the log.
class EventLogReader {
 public:
  static Result<EventLogReader> open(std::string_view log);

  [[nodiscard]] const std::vector<Bank>& banks() const { return banks_; }
  // The next event, the header's own being number 0; nullopt at the end. After
  // an error the log is of no use.
  Result<std::optional<Event>> next();
  // The same in an event that the caller has, for its room is used again: false at the end.
  Result<bool> next(Event& event);

 private:
  enum class Form { sha1, crypto_agile };

  explicit EventLogReader(std::string_view log) : reader_(log) {}
  Status read_header();
  Status read_banks(const Event& header);
  Result<bool> read(Event& event);
  Status read_sha1_digest(Event& event);
  Status read_digests(Event& event);
  Status read_digest(Event& event);
  Status read_data(Event& event);
  Status check(const Event& event) const;
  [[nodiscard]] bool only_fill_left() const;
  [[nodiscard]] std::unexpected<Error> bad(std::string cause) const;
  [[nodiscard]] std::unexpected<Error> short_of(std::string_view what, std::size_t want) const;

  ByteReader reader_;
  Form form_ = Form::sha1;
  std::vector<Bank> banks_;
  std::uint32_t number_ = 0;
  std::optional<Event> pending_;  // the first event, read ahead to tell the form
};

}  // namespace vmsec::boot
