// A TPM key's public area (TPMT_PUBLIC), read without a TPM.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "digest.hpp"
#include "openssl_handles.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

// TPMA_OBJECT, TPM 2.0 part 2, 8.3.
inline constexpr std::uint32_t kFixedTpm = 1U << 1;
inline constexpr std::uint32_t kFixedParent = 1U << 4;
inline constexpr std::uint32_t kSensitiveDataOrigin = 1U << 5;
inline constexpr std::uint32_t kRestricted = 1U << 16;
inline constexpr std::uint32_t kDecrypt = 1U << 17;
inline constexpr std::uint32_t kSign = 1U << 18;

enum class KeyType : std::uint16_t { rsa = 0x0001, ecc = 0x0023 };

struct Curve {
  std::uint16_t number = 0;  // TPM_ECC_CURVE
  std::size_t bytes = 0;     // of a coordinate
  const char* name = "";     // as OpenSSL calls it
};

// ECC on NIST P-256 or P-384, or RSA of 2048 to 4096 bits; its name algorithm is SHA-256 or SHA-384.
struct TpmPublic {
  std::string bytes;  // the public area as it came
  KeyType type = KeyType::ecc;
  Hash name_hash = Hash::sha256;
  std::uint32_t attributes = 0;
  std::string auth_policy;
  std::uint16_t symmetric = 0;  // TPM_ALG of a storage key's symmetric cipher
  std::uint16_t symmetric_bits = 0;
  std::uint16_t scheme = 0;  // TPM_ALG of the signing scheme, kAlgNull where it is open
  std::uint16_t scheme_hash = 0;
  const Curve* curve = nullptr;  // ECC; never null for such a key
  std::string x;                 // as in the public area
  std::string y;
  std::string modulus;  // RSA
  std::uint32_t exponent = 0;
  std::string name_digest;  // of the public area, by the name algorithm
  std::string key_digest;   // of the key itself: the same whatever the public area says around it

  // The name that the TPM gives the key: the name algorithm, then the digest.
  [[nodiscard]] std::string name() const;
  // Of what it signs.
  [[nodiscard]] Hash hash() const { return Hash{scheme_hash}; }
  [[nodiscard]] Result<PkeyPtr> key() const;
};

// `what` names the key in errors ("attestation key").
Result<TpmPublic> parse_public(std::string_view bytes, std::string_view what);

// That the key lives in a TPM only, was made there, and signs nothing but what
// the TPM itself has made. `untrusted` names the attribute.
Status check_attestation_key(const TpmPublic& key);
// That it is a restricted decryption key of the TPM's, as credential activation needs.
Status check_endorsement_key(const TpmPublic& key);

}  // namespace vmsec::boot
