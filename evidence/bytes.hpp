// Bytes: reading them without ever passing their end, and showing them.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace vmsec::boot {

// Reads a borrowed buffer from front to back. What is not there is nullopt, and
// nothing is consumed then.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t offset() const { return offset_; }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - offset_; }
  [[nodiscard]] std::string_view rest() const { return bytes_.substr(offset_); }

  std::optional<std::string_view> take(std::size_t count) {
    if (count > left()) return std::nullopt;
    const auto view = bytes_.substr(offset_, count);
    offset_ += count;
    return view;
  }

  // Event logs are little-endian, TPM structures big-endian.
  template <std::unsigned_integral T>
  std::optional<T> little() {
    return integer<T>(std::endian::little);
  }
  template <std::unsigned_integral T>
  std::optional<T> big() {
    return integer<T>(std::endian::big);
  }

  // A TPM2B: two bytes of size, then as many bytes.
  std::optional<std::string_view> sized() {
    ByteReader ahead = *this;
    const auto size = ahead.big<std::uint16_t>();
    if (!size) return std::nullopt;
    const auto view = ahead.take(*size);
    if (view) *this = ahead;
    return view;
  }

 private:
  template <class T>
  std::optional<T> integer(std::endian order) {
    if (sizeof(T) > left()) return std::nullopt;
    T value = 0;
    std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return order == std::endian::native ? value : std::byteswap(value);
  }

  std::string_view bytes_;
  std::size_t offset_ = 0;
};

template <std::unsigned_integral T>
std::string big_endian(T value) {
  std::string out(sizeof(T), '\0');
  for (std::size_t i = 0; i < sizeof(T); ++i)
    out[i] = static_cast<char>(static_cast<std::uint8_t>(value >> (8 * (sizeof(T) - 1 - i))));
  return out;
}

// A TPM2B of these bytes (fewer than 64 KiB).
inline std::string sized(std::string_view bytes) {
  return big_endian(static_cast<std::uint16_t>(bytes.size())) + std::string(bytes);
}

std::string to_hex(std::string_view bytes);
// Exactly pairs of hexadecimal digits, in either case.
std::optional<std::string> from_hex(std::string_view text);

// Text of another host, fit for a log: printable ASCII, cut at `limit`.
std::string printable(std::string_view text, std::size_t limit = 300);

}  // namespace vmsec::boot
