// Strong types: identifiers, sizes and rates that cannot be mixed up.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "vmsec/result.hpp"

namespace vmsec {

// A number with a unit. On the wire it is a varint (uint64).
template <class Tag>
struct Quantity {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const Quantity&, const Quantity&) = default;
};

using Bytes = Quantity<struct BytesTag>;
using BytesPerSecond = Quantity<struct BytesPerSecondTag>;
using OpsPerSecond = Quantity<struct OpsPerSecondTag>;
using Microseconds = Quantity<struct MicrosecondsTag>;
using UnixSeconds = Quantity<struct UnixSecondsTag>;  // since 1970-01-01T00:00:00Z

// A handle of the module ABI: an id, and the generation in which it was granted.
// When the grant is withdrawn the generation moves on, and calls answer `revoked`.
struct Handle {
  std::uint32_t id = 0;
  std::uint32_t generation = 0;
  friend constexpr auto operator<=>(const Handle&, const Handle&) = default;
};

// RFC 4122 UUID. Identifies a domain on every host and every hypervisor, and a
// migration. On the wire: its 36-character text, lower case.
class Uuid {
 public:
  constexpr Uuid() = default;
  constexpr explicit Uuid(const std::array<std::uint8_t, 16>& bytes) : bytes_(bytes) {}

  // Accepts exactly the 8-4-4-4-12 form, in either case.
  static Result<Uuid> parse(std::string_view text) {
    static constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    const auto bad = [&] {
      return fail(Code::invalid_argument,
                  "parse UUID \"" + std::string(text.substr(0, 64)) + "\": want 8-4-4-4-12 hexadecimal digits");
    };
    if (text.size() != kForm.size()) return bad();
    std::array<std::uint8_t, 16> bytes{};
    std::size_t nibble = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (kForm[i] == '-') {
        if (text[i] != '-') return bad();
        continue;
      }
      const int digit = hex_digit(text[i]);
      if (digit < 0) return bad();
      auto& byte = bytes[nibble / 2];
      byte = static_cast<std::uint8_t>((byte << 4) | digit);
      ++nibble;
    }
    return Uuid(bytes);
  }

  [[nodiscard]] std::string text() const {
    static constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(36);
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
      out += kDigits[bytes_[i] >> 4];
      out += kDigits[bytes_[i] & 15];
    }
    return out;
  }

  [[nodiscard]] constexpr bool is_nil() const { return *this == Uuid(); }
  [[nodiscard]] constexpr const std::array<std::uint8_t, 16>& bytes() const { return bytes_; }
  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;

 private:
  static constexpr int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }

  std::array<std::uint8_t, 16> bytes_{};
};

}  // namespace vmsec
