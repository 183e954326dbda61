// The keys that are made in the TPM.
#pragma once

#include <tss2/tss2_tpm2_types.h>

namespace vmsec::boot {

// TCG EK Credential Profile 2.5, templates L-1 (RSA 2048) and L-2 (P-256).
TPM2B_PUBLIC ek_rsa_template();
TPM2B_PUBLIC ek_p256_template();
// A P-256 storage key: the parent of the attestation key.
TPM2B_PUBLIC storage_template();
TPM2B_PUBLIC attestation_template();
// The same as a primary key: made again from the TPM's seed, it is the same key.
TPM2B_PUBLIC primary_attestation_template();

}  // namespace vmsec::boot
