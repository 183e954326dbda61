// How keys, signatures, digests and days are written in trust's files. Each has
// one spelling: what decodes is what would be written.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::trust {

inline constexpr std::size_t kPublicKey = 32;
inline constexpr std::size_t kSignature = 64;
inline constexpr std::size_t kMaximumSignatureFile = 64 << 10;

std::string to_base64(std::string_view bytes);
// `invalid_argument` unless it is the base64 of exactly so many bytes.
Result<std::string> from_base64(std::string_view text, std::size_t size);
bool is_digest(std::string_view text);    // 64 lower-case digits
bool is_day(std::string_view text);       // "2036-01-31"
bool is_key_name(std::string_view text);  // a-z, 0-9, '-', '_', '.', at most 64
bool is_sentence(std::string_view text);  // printable ASCII, at most 256
std::string today();                      // in UTC

// As a TOML string, of what is_sentence().
std::string quote(std::string_view text);

}  // namespace vmsec::trust
