// What a link is like, and how that is said on the command line.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace vmsec::link {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::nanoseconds;
using Time = std::chrono::time_point<Clock, Duration>;
inline constexpr Time kNever = Time::max();

template <class T>
using Parsed = std::expected<T, std::string>;  // or what is wrong with the text

struct Shape {
  std::uint64_t rate = 0;  // bytes a second in each direction, of all connections together; 0: unlimited
  Duration delay{};        // one way
  Duration jitter{};       // each chunk's delay is within delay +- jitter
  double loss = 0;         // of segments: 0.001 is 0.1 %
  std::uint64_t seed = 1;  // of jitter and loss

  [[nodiscard]] Duration round_trip() const { return 2 * delay; }
  // Bytes of one connection and direction that may be under way: what the link holds, and a little.
  [[nodiscard]] std::size_t window() const;
  // Bytes that are taken at a time: about a millisecond's worth, so that connections share fairly.
  [[nodiscard]] std::size_t chunk() const;
};

Parsed<std::uint64_t> parse_rate(std::string_view text);  // "1Gbit", "100Mbit", "unlimited"
Parsed<Duration> parse_time(std::string_view text);       // "10ms", "250us", 0 to 200 ms
Parsed<double> parse_share(std::string_view text);        // "0.1%", 0 to 10 %
Parsed<std::uint64_t> parse_number(std::string_view text);

}  // namespace vmsec::link
