#include "xdr.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::size_t padding(std::size_t size) { return (4 - size % 4) % 4; }

}  // namespace

std::unexpected<Error> XdrReader::bad(std::string_view what, std::string_view cause) const {
  return fail(Code::invalid_argument,
              "read " + std::string(what) + " at byte " + std::to_string(position_) + ": " + std::string(cause));
}

Result<std::string_view> XdrReader::fixed(std::size_t size, std::string_view what) {
  const std::size_t left = bytes_.size() - position_;
  if (size > left || padding(size) > left - size) return bad(what, "the message ends within it");
  const std::string_view value = bytes_.substr(position_, size);
  for (const char pad : bytes_.substr(position_ + size, padding(size)))
    if (pad != 0) return bad(what, "its padding is not zero");
  position_ += size + padding(size);
  return value;
}

Result<std::uint32_t> XdrReader::u32(std::string_view what) {
  VMSEC_TRY(const std::string_view raw, fixed(4, what));
  std::uint32_t value = 0;
  for (const char byte : raw) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

Result<std::int32_t> XdrReader::i32(std::string_view what) {
  VMSEC_TRY(const std::uint32_t value, u32(what));
  return static_cast<std::int32_t>(value);
}

Result<std::uint64_t> XdrReader::u64(std::string_view what) {
  VMSEC_TRY(const std::uint32_t high, u32(what));
  VMSEC_TRY(const std::uint32_t low, u32(what));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

Result<std::string_view> XdrReader::opaque(std::size_t limit, std::string_view what) {
  VMSEC_TRY(const std::uint32_t size, u32(what));
  if (size > limit)
    return bad(what, std::to_string(size) + " bytes exceed the limit of " + std::to_string(limit) + " bytes");
  return fixed(size, what);
}

Result<std::string_view> XdrReader::text(std::size_t limit, std::string_view what) {
  VMSEC_TRY(const std::string_view value, opaque(limit, what));
  if (value.find('\0') != std::string_view::npos) return bad(what, "a NUL byte within a text");
  return value;
}

Result<std::optional<std::string_view>> XdrReader::optional_text(std::size_t limit, std::string_view what) {
  VMSEC_TRY(const std::uint32_t present, u32(what));
  if (present > 1) return bad(what, "a flag that is neither 0 nor 1");
  if (present == 0) return std::nullopt;
  VMSEC_TRY(const std::string_view value, text(limit, what));
  return value;
}

Status XdrReader::end(std::string_view what) const {
  if (position_ == bytes_.size()) return {};
  return bad(what, std::to_string(bytes_.size() - position_) + " bytes too many");
}

void XdrWriter::u32(std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes_ += static_cast<char>(value >> shift);
}

void XdrWriter::u64(std::uint64_t value) {
  u32(static_cast<std::uint32_t>(value >> 32));
  u32(static_cast<std::uint32_t>(value));
}

void XdrWriter::fixed(std::string_view bytes) {
  bytes_ += bytes;
  bytes_.append(padding(bytes.size()), '\0');
}

void XdrWriter::opaque(std::string_view bytes) {
  u32(static_cast<std::uint32_t>(bytes.size()));
  fixed(bytes);
}

void XdrWriter::optional_text(const std::optional<std::string>& text) {
  u32(text ? 1 : 0);
  if (text) opaque(*text);
}

}  // namespace vmsec::kvm
