// Values as people write them: "20 MB/s", "80 Mbit/s", "500 ops/s", "256 MiB",
// "150%", "5 s". Header-only: modules use it too.
//
// The parsers are strict: a number (digits, at most three after a point), at
// most one space, a unit. The unit is never guessed, and a value that is not a
// whole number of bytes, operations or microseconds is an error. Units are
// case-sensitive: MB is 1,000,000 bytes, MiB is 1,048,576, Mbit is 125,000.
// The printers give the shortest form that reads back as the same value.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "vmsec/types.hpp"

namespace vmsec {

using PerMille = Quantity<struct PerMilleTag>;  // thousandths: "150%" is 1500

namespace units {

// One unit: so many base units, as a fraction (a bit is 1/8 of a byte).
struct Unit {
  std::string_view name;
  std::uint64_t factor;
  std::uint64_t divisor = 1;
};

// What a value of this kind looks like.
struct Kind {
  std::string_view what;  // "a rate"
  std::string_view want;  // the units, and an example
  std::span<const Unit> units;
};

// Room for any 64-bit value in thousandths, times any unit.
__extension__ using Wide = unsigned __int128;

inline constexpr std::uint64_t kKibi = 1024, kKilo = 1000;
inline constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();  // what every backend can hold

// In the order in which a printer prefers them among equally short forms.
inline constexpr Unit kSizeUnits[] = {{"TB", kKilo* kKilo* kKilo* kKilo},
                                      {"GB", kKilo* kKilo* kKilo},
                                      {"MB", kKilo* kKilo},
                                      {"kB", kKilo},
                                      {"TiB", kKibi* kKibi* kKibi* kKibi},
                                      {"GiB", kKibi* kKibi* kKibi},
                                      {"MiB", kKibi* kKibi},
                                      {"KiB", kKibi},
                                      {"B", 1}};
inline constexpr Unit kRateUnits[] = {
    {"GB/s", kKilo* kKilo* kKilo}, {"MB/s", kKilo* kKilo}, {"kB/s", kKilo}, {"GiB/s", kKibi* kKibi* kKibi},
    {"MiB/s", kKibi* kKibi},       {"KiB/s", kKibi},       {"B/s", 1},      {"Gbit/s", kKilo* kKilo* kKilo, 8},
    {"Mbit/s", kKilo* kKilo, 8},   {"kbit/s", kKilo, 8},   {"bit/s", 1, 8}};
inline constexpr Unit kOpsUnits[] = {{"ops/s", 1}};
inline constexpr Unit kPercentUnits[] = {{"%", 10}};
inline constexpr Unit kTimeUnits[] = {
    {"h", 3'600'000'000}, {"min", 60'000'000}, {"s", 1'000'000}, {"ms", 1000}, {"us", 1}};

inline constexpr Kind kSize{"a size", "B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, as in \"256 MiB\"", kSizeUnits};
inline constexpr Kind kRate{
    "a rate", "B/s, kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s, kbit/s, Mbit/s or Gbit/s, as in \"20 MB/s\"", kRateUnits};
inline constexpr Kind kOps{"a rate of operations", "ops/s, as in \"500 ops/s\"", kOpsUnits};
inline constexpr Kind kPercent{"a percentage", "%, as in \"20%\"", kPercentUnits};
inline constexpr Kind kTime{"a duration", "us, ms, s, min or h, as in \"5 s\"", kTimeUnits};

// Text as it may stand in a message: quoted, short, without control characters.
inline std::string quoted(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text.substr(0, 64)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    out +=
        (c == '"' || c == '\\') ? std::string{'\\', c} : std::string("\\x") + kDigits[byte >> 4] + kDigits[byte & 15];
  }
  return out + (text.size() > 64 ? "...\"" : "\"");
}

// The number, in thousandths, and what follows it.
struct Scanned {
  Wide thousandths = 0;
  std::string_view unit;
};

inline std::unexpected<Error> bad(const Kind& kind, std::string_view text, std::string_view cause) {
  return fail(Code::invalid_argument, quoted(text) + " is not " + std::string(kind.what) + ": " + std::string(cause) +
                                          "; want a number and " + std::string(kind.want));
}

inline Result<Scanned> scan(const Kind& kind, std::string_view text) {
  if (text.empty()) return bad(kind, text, "it is empty");
  if (text.find('\0') != std::string_view::npos) return bad(kind, text, "it has a NUL");
  if (text[0] == '-') return bad(kind, text, "it is negative");
  const auto is_digit = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  if (!is_digit(0)) return bad(kind, text, "it does not begin with a number");
  Wide value = 0;
  std::size_t at = 0;
  const auto add_digit = [&](std::uint64_t digit) {
    value = value * 10 + digit;
    return value < static_cast<Wide>(kLargest) * 10'000;
  };
  for (; is_digit(at); ++at)
    if (!add_digit(static_cast<std::uint64_t>(text[at] - '0'))) return bad(kind, text, "it is too large");
  int places = 0;
  if (at < text.size() && text[at] == '.') {
    for (++at; is_digit(at); ++at, ++places) {
      if (places == 3) return bad(kind, text, "it has more than three digits after the point");
      if (!add_digit(static_cast<std::uint64_t>(text[at] - '0'))) return bad(kind, text, "it is too large");
    }
    if (places == 0) return bad(kind, text, "no digit follows the point");
  }
  for (; places < 3; ++places)
    if (!add_digit(0)) return bad(kind, text, "it is too large");
  if (at < text.size() && text[at] == ' ') ++at;
  return Scanned{value, text.substr(at)};
}

inline Result<std::uint64_t> parse(const Kind& kind, std::string_view text) {
  VMSEC_TRY(const Scanned scanned, scan(kind, text));
  if (scanned.unit.empty()) return bad(kind, text, "the unit is missing");
  for (const Unit& unit : kind.units) {
    if (unit.name != scanned.unit) continue;
    const Wide scaled = scanned.thousandths * unit.factor;  // 77 bits by 40
    const Wide divisor = static_cast<Wide>(unit.divisor) * 1000;
    if (scaled / divisor > kLargest) return bad(kind, text, "it is too large");
    if (scaled % divisor != 0) return bad(kind, text, "it is not a whole number of the smallest unit");
    return static_cast<std::uint64_t>(scaled / divisor);
  }
  return bad(kind, text, "unknown unit " + quoted(scanned.unit));
}

// "12.5" for 12500 thousandths.
inline std::string decimal(Wide thousandths) {
  std::string out = std::to_string(static_cast<std::uint64_t>(thousandths / 1000));
  const auto rest = static_cast<std::uint64_t>(thousandths % 1000);
  if (rest == 0) return out;
  std::string digits = std::to_string(1000 + rest).substr(1);
  while (digits.back() == '0') digits.pop_back();
  return out + "." + digits;
}

inline std::string print(const Kind& kind, std::uint64_t value) {
  std::string best;
  for (const Unit& unit : kind.units) {
    const Wide scaled = static_cast<Wide>(value) * unit.divisor * 1000;
    const bool whole_thousandths = scaled % unit.factor == 0;
    const bool below_one = scaled / unit.factor < 1000 && unit.factor != 1 && kind.units.size() > 1;
    if (!whole_thousandths || below_one) continue;
    if (scaled / unit.factor / 1000 > std::numeric_limits<std::uint64_t>::max()) continue;
    const std::string separator = unit.name == "%" ? "" : " ";
    std::string form = decimal(scaled / unit.factor) + separator + std::string(unit.name);
    if (best.empty() || form.size() < best.size()) best = std::move(form);
  }
  return best;
}

}  // namespace units

inline Result<Bytes> parse_size(std::string_view text) {
  VMSEC_TRY(const std::uint64_t value, units::parse(units::kSize, text));
  return Bytes{value};
}
inline Result<BytesPerSecond> parse_rate(std::string_view text) {
  VMSEC_TRY(const std::uint64_t value, units::parse(units::kRate, text));
  return BytesPerSecond{value};
}
inline Result<OpsPerSecond> parse_ops(std::string_view text) {
  VMSEC_TRY(const std::uint64_t value, units::parse(units::kOps, text));
  return OpsPerSecond{value};
}
inline Result<PerMille> parse_percent(std::string_view text) {
  VMSEC_TRY(const std::uint64_t value, units::parse(units::kPercent, text));
  return PerMille{value};
}
inline Result<Microseconds> parse_duration(std::string_view text) {
  VMSEC_TRY(const std::uint64_t value, units::parse(units::kTime, text));
  return Microseconds{value};
}

inline std::string to_text(Bytes value) { return units::print(units::kSize, value.value); }
inline std::string to_text(BytesPerSecond value) { return units::print(units::kRate, value.value); }
inline std::string to_text(OpsPerSecond value) { return units::print(units::kOps, value.value); }
inline std::string to_text(PerMille value) { return units::print(units::kPercent, value.value); }
inline std::string to_text(Microseconds value) { return units::print(units::kTime, value.value); }

}  // namespace vmsec
