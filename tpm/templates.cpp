#include "templates.hpp"

#include <algorithm>
#include <array>

namespace vmsec::boot {
namespace {

constexpr TPMA_OBJECT kStays = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN;
constexpr TPMA_OBJECT kStorage = kStays | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;

// PolicyA of the EK Credential Profile: TPM2_PolicySecret(TPM_RH_ENDORSEMENT).
constexpr std::array<BYTE, 32> kPolicyA{0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xB3, 0xF8, 0x1A, 0x90, 0xCC,
                                        0x8D, 0x46, 0xA5, 0xD7, 0x24, 0xFD, 0x52, 0xD7, 0x6E, 0x06, 0x52,
                                        0x0B, 0x64, 0xF2, 0xA1, 0xDA, 0x1B, 0x33, 0x14, 0x69, 0xAA};

TPMT_SYM_DEF_OBJECT aes_128_cfb() {
  TPMT_SYM_DEF_OBJECT cipher{};
  cipher.algorithm = TPM2_ALG_AES;
  cipher.keyBits.aes = 128;
  cipher.mode.aes = TPM2_ALG_CFB;
  return cipher;
}

TPM2B_PUBLIC p256(TPMA_OBJECT attributes) {
  TPM2B_PUBLIC key{};
  auto& area = key.publicArea;
  area.type = TPM2_ALG_ECC;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = attributes;
  area.parameters.eccDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.eccDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.eccDetail.curveID = TPM2_ECC_NIST_P256;
  area.parameters.eccDetail.kdf.scheme = TPM2_ALG_NULL;
  return key;
}

void set_policy_a(TPMT_PUBLIC& area) {
  area.authPolicy.size = kPolicyA.size();
  std::ranges::copy(kPolicyA, area.authPolicy.buffer);
}

}  // namespace

TPM2B_PUBLIC ek_rsa_template() {
  TPM2B_PUBLIC key{};
  auto& area = key.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = kStorage | TPMA_OBJECT_ADMINWITHPOLICY;
  set_policy_a(area);
  area.parameters.rsaDetail.symmetric = aes_128_cfb();
  area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
  area.parameters.rsaDetail.keyBits = 2048;
  area.unique.rsa.size = 256;
  return key;
}

TPM2B_PUBLIC ek_p256_template() {
  TPM2B_PUBLIC key = p256(kStorage | TPMA_OBJECT_ADMINWITHPOLICY);
  auto& area = key.publicArea;
  set_policy_a(area);
  area.parameters.eccDetail.symmetric = aes_128_cfb();
  area.unique.ecc.x.size = 32;
  area.unique.ecc.y.size = 32;
  return key;
}

TPM2B_PUBLIC storage_template() {
  TPM2B_PUBLIC key = p256(kStorage | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA);
  key.publicArea.parameters.eccDetail.symmetric = aes_128_cfb();
  return key;
}

TPM2B_PUBLIC attestation_template() {
  TPM2B_PUBLIC key = p256(kStays | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH);
  key.publicArea.parameters.eccDetail.scheme.scheme = TPM2_ALG_ECDSA;
  key.publicArea.parameters.eccDetail.scheme.details.ecdsa.hashAlg = TPM2_ALG_SHA256;
  return key;
}

TPM2B_PUBLIC primary_attestation_template() {
  TPM2B_PUBLIC key = attestation_template();
  key.publicArea.objectAttributes |= TPMA_OBJECT_NODA;
  return key;
}

}  // namespace vmsec::boot
