// The endorsement key's certificate: the TPM's manufacturer says that the key is
// in one of its TPMs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tpm_public.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

// `roots`: certificates in PEM, those of intermediate authorities too. `issuers` (DER): more of
// those, as the TPM has them, believed only where a root vouches for them. `untrusted` unless
// `certificate` (DER) chains to a root, is for such a key, and is of this one.
Status verify_ek_certificate(std::string_view certificate, const std::vector<std::string>& issuers,
                             const TpmPublic& endorsement_key, const std::string& roots);

// Certificates (DER) one behind the other, with fill (00, ff) between them, as TPMs keep them.
// What is no certificate is the last of the list, for the one who verifies to refuse.
std::vector<std::string> split_certificates(std::string_view bytes);

// How many certificates the PEM text holds; an error for none and for a broken one.
Result<std::size_t> check_roots(const std::string& roots);

}  // namespace vmsec::boot
