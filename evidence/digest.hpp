// Digests by their TCG algorithm number, over OpenSSL.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "vmsec/result.hpp"

struct evp_md_ctx_st;  // OpenSSL's EVP_MD_CTX
struct evp_md_st;      // and its EVP_MD

namespace vmsec::boot {

// TCG Algorithm Registry. A number that is none of these may still be met in a log.
enum class Hash : std::uint16_t {
  sha1 = 0x0004,
  sha256 = 0x000b,
  sha384 = 0x000c,
  sha512 = 0x000d,
  sm3_256 = 0x0012,
  sha3_256 = 0x0027,
  sha3_384 = 0x0028,
  sha3_512 = 0x0029,
};

inline constexpr std::size_t kSha256Size = 32;
inline constexpr std::size_t kMaxDigestBytes = 64;

// A digest, kept without memory of its own: there are thousands of them.
class DigestBytes {
 public:
  DigestBytes() = default;
  explicit DigestBytes(std::string_view bytes) : size_(std::min(bytes.size(), kMaxDigestBytes)) {
    std::copy_n(bytes.data(), size_, bytes_.data());
  }

  operator std::string_view() const { return {bytes_.data(), size_}; }  // NOLINT: it stands for its bytes
  operator std::string() const { return {bytes_.data(), size_}; }       // NOLINT
  friend bool operator==(const DigestBytes& a, std::string_view b) { return std::string_view(a) == b; }
  friend bool operator==(const DigestBytes& a, const DigestBytes& b) { return a == std::string_view(b); }

 private:
  std::size_t size_ = 0;
  std::array<char, kMaxDigestBytes> bytes_;  // as many as that are set
};

// OpenSSL's; null for a number that is none of these.
const evp_md_st* message_digest(Hash hash);

// "sha256"; "algorithm 0x1234" for a number that is not in the registry above.
std::string to_string(Hash hash);
std::optional<std::size_t> digest_size(Hash hash);

// `unsupported` for an algorithm that OpenSSL does not have here.
Result<std::string> digest(Hash hash, std::initializer_list<std::string_view> parts);
// Digests of one algorithm, one after the other: what they need of OpenSSL is made once. One thread at a time.
class Digester {
 public:
  static Result<Digester> create(Hash hash);

  // Into `out`, of the digest's size; a part may be `out` itself.
  Status digest(std::initializer_list<std::string_view> parts, std::string& out);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  explicit Digester(const evp_md_st* md);

  const evp_md_st* md_;  // none: SHA-256, which needs no context
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Result<std::string> sha256(std::initializer_list<std::string_view> parts);

// SHA-256 over the parts, each behind its length: no two lists give the same bytes.
Result<std::string> sha256_of_list(std::initializer_list<std::string_view> parts);
Result<std::string> hmac(Hash hash, std::string_view key, std::initializer_list<std::string_view> parts);
Result<std::string> hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts);

// In constant time for equal lengths.
bool equal(std::string_view a, std::string_view b);

Result<std::string> random_bytes(std::size_t count);

// The Error of a failed OpenSSL call; empties OpenSSL's queue.
Error openssl_error(std::string_view operation, Code code = Code::internal);

}  // namespace vmsec::boot
