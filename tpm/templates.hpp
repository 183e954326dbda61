// The keys that are made in the TPM.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "tpm.hpp"

namespace vmsec::boot {

// TCG EK Credential Profile 2.5, templates L-1 (RSA 2048) and L-2 (P-256).
TPM2B_PUBLIC ek_rsa_template();
TPM2B_PUBLIC ek_p256_template();
// Templates H-1, H-6 and H-7 (RSA 2048, 3072, 4096), H-2 and H-3 (P-256, P-384).
TPM2B_PUBLIC ek_high_rsa_template(TPMI_RSA_KEY_BITS bits);
TPM2B_PUBLIC ek_high_ecc_template(TPMI_ECC_CURVE curve);
// A P-256 storage key: the parent of the attestation key.
TPM2B_PUBLIC storage_template();
// Restricted signing keys: ECDSA or RSASSA.
TPM2B_PUBLIC attestation_template(AttestationKeyKind kind);

}  // namespace vmsec::boot
