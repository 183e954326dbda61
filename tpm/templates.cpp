#include "templates.hpp"

#include <algorithm>
#include <array>

namespace vmsec::boot {
namespace {

constexpr TPMA_OBJECT kStays = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;
constexpr TPMA_OBJECT kStorage = kStays | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
constexpr TPMA_OBJECT kHighEndorsement = kStorage | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_ADMINWITHPOLICY;
// Without NODA every unorderly shutdown of the TPM would count towards its
// lockout, and at its end no quote could be had for hours (part 1, 19.8).
constexpr TPMA_OBJECT kAttestation =
    kStays | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA;

// PolicyA of the EK Credential Profile: TPM2_PolicySecret(TPM_RH_ENDORSEMENT).
constexpr std::array<BYTE, 32> kPolicyA{0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC,
                                        0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52,
                                        0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA};

// PolicyB: PolicyA, or a policy that the owner keeps in NV.
constexpr std::array<BYTE, 32> kPolicyB256{0xCA, 0x3D, 0x0A, 0x99, 0xA2, 0xB9, 0x39, 0x06, 0xF7, 0xA3, 0x34,
                                           0x24, 0x14, 0xEF, 0xCF, 0xB3, 0xA3, 0x85, 0xD4, 0x4C, 0xD1, 0xFD,
                                           0x45, 0x90, 0x89, 0xD1, 0x9B, 0x50, 0x71, 0xC0, 0xB7, 0xA0};
constexpr std::array<BYTE, 48> kPolicyB384{0xB2, 0x6E, 0x7D, 0x28, 0xD1, 0x1A, 0x50, 0xBC, 0x53, 0xD8, 0x82, 0xBC,
                                           0xF5, 0xFD, 0x3A, 0x1A, 0x07, 0x41, 0x48, 0xBB, 0x35, 0xD3, 0xB4, 0xE4,
                                           0xCB, 0x1C, 0x0A, 0xD9, 0xBD, 0xE4, 0x19, 0xCA, 0xCB, 0x47, 0xBA, 0x09,
                                           0x69, 0x96, 0x46, 0x15, 0x0F, 0x9F, 0xC0, 0x00, 0xF3, 0xF8, 0x0E, 0x12};

TPMT_SYM_DEF_OBJECT aes_cfb(TPMI_AES_KEY_BITS bits) {
  TPMT_SYM_DEF_OBJECT cipher{};
  cipher.algorithm = TPM2_ALG_AES;
  cipher.keyBits.aes = bits;
  cipher.mode.aes = TPM2_ALG_CFB;
  return cipher;
}

TPM2B_PUBLIC ecc(TPMI_ECC_CURVE curve, TPMA_OBJECT attributes) {
  TPM2B_PUBLIC key{};
  auto& area = key.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = attributes;
  area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.eccDetail.curveID = curve;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return key;
}

TPM2B_PUBLIC rsa(TPMI_RSA_KEY_BITS bits, TPMA_OBJECT attributes) {
  TPM2B_PUBLIC key{};
  auto& area = key.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = attributes;
  area.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.rsaDetail.keyBits = bits;
  return key;
}

template <std::size_t kSize>
void set_policy(TPMT_PUBLIC& area, const std::array<BYTE, kSize>& policy) {
  area.authPolicy.size = kSize;
  std::ranges::copy(policy, area.authPolicy.buffer);
}

void set_policy_b(TPMT_PUBLIC& area, TPMI_ALG_HASH name_hash) {
  area.nameAlg = name_hash;
  if (name_hash == TPM2_ALG_SHA256)
    set_policy(area, kPolicyB256);
  else
    set_policy(area, kPolicyB384);
}

}  // namespace

TPM2B_PUBLIC ek_rsa_template() {
  TPM2B_PUBLIC key = rsa(2048, kStorage | TPMA_OBJECT_ADMINWITHPOLICY);
  auto& area = key.publicArea;
  set_policy(area, kPolicyA);
  area.parameters.rsaDetail.symmetric = aes_cfb(128);
  area.unique.rsa.size = 256;
  return key;
}

TPM2B_PUBLIC ek_p256_template() {
  TPM2B_PUBLIC key = ecc(TPM2_ECC_NIST_P256, kStorage | TPMA_OBJECT_ADMINWITHPOLICY);
  auto& area = key.publicArea;
  set_policy(area, kPolicyA);
  area.parameters.eccDetail.symmetric = aes_cfb(128);
  area.unique.ecc.x.size = 32;
  area.unique.ecc.y.size = 32;
  return key;
}

TPM2B_PUBLIC ek_high_rsa_template(TPMI_RSA_KEY_BITS bits) {
  TPM2B_PUBLIC key = rsa(bits, kHighEndorsement);
  key.publicArea.parameters.rsaDetail.symmetric = aes_cfb(bits == 2048 ? 128 : 256);
  set_policy_b(key.publicArea, bits == 2048 ? TPM2_ALG_SHA256 : TPM2_ALG_SHA384);
  return key;
}

TPM2B_PUBLIC ek_high_ecc_template(TPMI_ECC_CURVE curve) {
  TPM2B_PUBLIC key = ecc(curve, kHighEndorsement);
  const bool p256 = curve == TPM2_ECC_NIST_P256;
  key.publicArea.parameters.eccDetail.symmetric = aes_cfb(p256 ? 128 : 256);
  set_policy_b(key.publicArea, p256 ? TPM2_ALG_SHA256 : TPM2_ALG_SHA384);
  return key;
}

TPM2B_PUBLIC storage_template() {
  TPM2B_PUBLIC key = ecc(TPM2_ECC_NIST_P256, kStorage | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA);
  key.publicArea.parameters.eccDetail.symmetric = aes_cfb(128);
  return key;
}

TPM2B_PUBLIC attestation_template(AttestationKeyKind kind) {
  if (kind == AttestationKeyKind::rsa) {
    TPM2B_PUBLIC key = rsa(2048, kAttestation);
    key.publicArea.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
    key.publicArea.parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
    return key;
  }
  const bool p384 = kind == AttestationKeyKind::ecc_384;
  TPM2B_PUBLIC key = ecc(p384 ? TPM2_ECC_NIST_P384 : TPM2_ECC_NIST_P256, kAttestation);
  key.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  key.publicArea.parameters.eccDetail.scheme.details.ecdsa.hashAlg = p384 ? TPM2_ALG_SHA384 : TPM2_ALG_SHA256;
  return key;
}

}  // namespace vmsec::boot
