// An attestation key in software: makes quotes that no TPM made, to try the
// verifier on. (A real TPM's are tried in attest_test.cpp.)
#pragma once

#include <string>
#include <string_view>

#include "evidence/openssl_handles.hpp"
#include "evidence/quote.hpp"

namespace vmsec::boot::test {

struct QuoteParts {
  std::uint32_t magic = 0xff544347;
  std::uint16_t type = 0x8018;
  std::string signer = std::string(34, 's');
  std::string qualifying_data = std::string(32, 'q');
  std::uint64_t clock = 1000;
  std::uint32_t resets = 3;
  std::uint32_t restarts = 1;
  std::uint8_t safe = 1;
  std::uint64_t firmware = 7;
  std::uint32_t banks = 1;
  std::uint16_t bank = 0x000b;
  std::string selection = std::string("\xff\x02\0", 3);  // 0 to 7, and 9
  std::string pcr_digest = std::string(32, 'd');
};

std::string attest_bytes(const QuoteParts& parts);

class SoftKey {
 public:
  enum class Type { p256, p384, rsa };
  explicit SoftKey(Type type = Type::p256, std::uint32_t attributes = kUsualAttributes);

  [[nodiscard]] const TpmPublic& area() const { return area_; }
  [[nodiscard]] std::string sign(std::string_view bytes) const;

  static constexpr std::uint32_t kUsualAttributes =
      kFixedTpm | kFixedParent | kSensitiveDataOrigin | kRestricted | kSign | (1U << 6);

 private:
  [[nodiscard]] std::string padded(const BIGNUM* value) const;

  PkeyPtr key_;
  TpmPublic area_;
};

}  // namespace vmsec::boot::test
