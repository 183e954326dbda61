// The endorsement key's certificate: the TPM's manufacturer says that the key is
// in one of its TPMs.
#pragma once

#include <string>
#include <string_view>

#include "tpm_public.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

// `roots`: certificates in PEM, those of intermediate authorities too. `untrusted`
// unless `certificate` (DER) chains to a root among them and is of this key.
Status verify_ek_certificate(std::string_view certificate, const TpmPublic& endorsement_key, const std::string& roots);

// How many certificates the PEM text holds; an error for none and for a broken one.
Result<std::size_t> check_roots(const std::string& roots);

}  // namespace vmsec::boot
