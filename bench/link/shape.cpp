#include "shape.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

namespace vmsec::link {
namespace {

constexpr std::size_t kLeastWindow = 1 << 20;
constexpr std::size_t kMostWindow = 256 << 20;
constexpr std::size_t kLeastChunk = 4 << 10;
constexpr std::size_t kMostChunk = 256 << 10;

struct Unit {
  std::string_view name;
  double factor;
};

struct Quantity {
  std::span<const Unit> units;
  double least, most;
  std::string_view want;
};

std::unexpected<std::string> wrong(std::string_view text, std::string_view want) {
  return std::unexpected("\"" + std::string(text) + "\": want " + std::string(want));
}

Parsed<double> parse(std::string_view text, const Quantity& quantity) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || !std::isfinite(value)) return wrong(text, quantity.want);
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto unit = std::ranges::find(quantity.units, name, &Unit::name);
  if (unit == quantity.units.end()) return wrong(text, quantity.want);
  value *= unit->factor;
  if (value < quantity.least || value > quantity.most) return wrong(text, quantity.want);
  return value;
}

}  // namespace

std::size_t Shape::window() const {
  if (rate == 0) return delay.count() == 0 ? kLeastWindow : kMostWindow;
  const double seconds = std::chrono::duration<double>(round_trip() + 2 * jitter).count();
  const auto held = static_cast<std::size_t>(1.25 * seconds * static_cast<double>(rate));
  return std::min(held + kLeastWindow, kMostWindow);
}

std::size_t Shape::chunk() const { return rate == 0 ? kMostChunk : std::clamp(rate / 1000, kLeastChunk, kMostChunk); }

Parsed<std::uint64_t> parse_rate(std::string_view text) {
  static constexpr Unit kUnits[] = {{"kbit", 125}, {"Mbit", 125e3}, {"Gbit", 125e6}};
  static constexpr Quantity kRate{kUnits, 125e3, 12.5e9,
                                  "a rate such as 100Mbit or 2.5Gbit (1Mbit to 100Gbit), or unlimited"};
  if (text == "unlimited") return 0;
  const auto value = parse(text, kRate);
  if (!value) return std::unexpected(value.error());
  return static_cast<std::uint64_t>(*value);
}

Parsed<Duration> parse_time(std::string_view text) {
  static constexpr Unit kUnits[] = {{"us", 1e3}, {"ms", 1e6}};
  static constexpr Quantity kTime{kUnits, 0, 200e6, "a time such as 250us or 10ms (0ms to 200ms)"};
  const auto value = parse(text, kTime);
  if (!value) return std::unexpected(value.error());
  return Duration(static_cast<std::int64_t>(*value));
}

Parsed<double> parse_share(std::string_view text) {
  static constexpr Unit kUnits[] = {{"%", 0.01}};
  static constexpr Quantity kShare{kUnits, 0, 0.1, "a share such as 0.1% (0% to 10%)"};
  return parse(text, kShare);
}

Parsed<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return wrong(text, "a whole number");
  return value;
}

}  // namespace vmsec::link
