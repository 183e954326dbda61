// Finding the endorsement key, and its certificate, in the TPM.
#pragma once

#include "handles.hpp"
#include "tpm.hpp"

namespace vmsec::boot {

// What the key asks for before it is used: the profile's PolicyA, or its own (empty) password.
enum class Authorisation { policy_a, password };

struct LoadedEndorsementKey {
  TpmHandle handle;
  EndorsementKey key;  // without its certificates
  Authorisation authorisation = Authorisation::policy_a;
};

Result<LoadedEndorsementKey> load_endorsement_key(ESYS_CONTEXT* esys);
Result<EndorsementKey> certified_endorsement_key(ESYS_CONTEXT* esys);

}  // namespace vmsec::boot
