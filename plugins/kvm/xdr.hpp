// External Data Representation (RFC 4506), as far as libvirt's RPC uses it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::kvm {

// Reads bytes that a peer wrote. Each call names, in its error, what was being
// read and where. Padding must be zero: two spellings of one message would let
// a check and its reader disagree.
class XdrReader {
 public:
  explicit XdrReader(std::string_view bytes) : bytes_(bytes) {}

  Result<std::uint32_t> u32(std::string_view what);
  Result<std::int32_t> i32(std::string_view what);
  Result<std::uint64_t> u64(std::string_view what);
  // Raw bytes of a fixed size.
  Result<std::string_view> fixed(std::size_t size, std::string_view what);
  // Counted bytes, at most `limit`.
  Result<std::string_view> opaque(std::size_t limit, std::string_view what);
  // The same as text: no NUL in it (libvirt would end the string there).
  Result<std::string_view> text(std::size_t limit, std::string_view what);
  Result<std::optional<std::string_view>> optional_text(std::size_t limit, std::string_view what);
  // That nothing is left.
  Status end(std::string_view what) const;

  [[nodiscard]] std::size_t position() const { return position_; }

 private:
  [[nodiscard]] std::unexpected<Error> bad(std::string_view what, std::string_view cause) const;

  std::string_view bytes_;
  std::size_t position_ = 0;
};

class XdrWriter {
 public:
  void u32(std::uint32_t value);
  void i32(std::int32_t value) { u32(static_cast<std::uint32_t>(value)); }
  void u64(std::uint64_t value);
  void fixed(std::string_view bytes);
  void opaque(std::string_view bytes);
  void optional_text(const std::optional<std::string>& text);
  [[nodiscard]] const std::string& bytes() const { return bytes_; }
  [[nodiscard]] std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

}  // namespace vmsec::kvm
