// Finding the endorsement key, and its certificate, in the TPM.
#pragma once

#include "handles.hpp"
#include "tpm.hpp"

namespace vmsec::boot {

struct LoadedEndorsementKey {
  TpmHandle handle;
  EndorsementKey key;
};

Result<LoadedEndorsementKey> load_endorsement_key(ESYS_CONTEXT* esys);

}  // namespace vmsec::boot
