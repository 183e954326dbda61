// Reading what a TPM's manufacturer left in its NV memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "handles.hpp"

namespace vmsec::boot {

// Asked first, since ESAPI writes to stderr about a handle that is not there.
Result<bool> nv_exists(ESYS_CONTEXT* esys, TPM2_HANDLE handle);
// The indices that there are from `first` to `last`, in order.
Result<std::vector<TPM2_HANDLE>> nv_list(ESYS_CONTEXT* esys, TPM2_HANDLE first, TPM2_HANDLE last);
// The index's whole content, at most 8 KiB; its authorisation is empty. `what` names it in errors.
Result<std::string> nv_read(ESYS_CONTEXT* esys, TPM2_HANDLE index, std::string_view what);

// Of what lives in the TPM.
Result<TpmHandle> tpm_reference(ESYS_CONTEXT* esys, TPM2_HANDLE handle, std::string_view what);

}  // namespace vmsec::boot
