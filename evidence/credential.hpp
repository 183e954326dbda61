// TPM2_MakeCredential in software (TPM 2.0 part 1, 24 and annexes B.10, C.6.3):
// the verifying side needs no TPM.
#pragma once

#include <string>
#include <string_view>

#include "tpm_public.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

struct Credential {
  std::string id_object;         // TPM2B_ID_OBJECT's content
  std::string encrypted_secret;  // TPM2B_ENCRYPTED_SECRET's content
};

// Only the TPM that has the endorsement key, and with it a key of that name, can
// get the secret (at most 32 bytes) back.
Result<Credential> make_credential(const TpmPublic& endorsement_key, std::string_view name, std::string_view secret);

// What the host answers in the secret's place: proof that it got it, good on this
// connection and from this host only, so that nobody can have another host solve it.
Result<std::string> activation_proof(std::string_view secret, std::string_view binding,
                                     std::string_view host_certificate, std::string_view key_name);

}  // namespace vmsec::boot
