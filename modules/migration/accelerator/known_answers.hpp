// The test that a kernel has to pass before it seals anything.
#pragma once

#include <span>
#include <string_view>

#include "gcm_kernel.hpp"
#include "vmsec/result.hpp"

namespace vmsec::migration {

struct KnownAnswer {  // hexadecimal
  std::string_view key, nonce, associated, text, sealed, tag;
};

// Test cases 1 to 4 and 13 to 16 of D. McGrew and J. Viega, "The Galois/Counter Mode of Operation".
std::span<const KnownAnswer> gcm_known_answers();

// Those, both ways; then texts of many lengths against OpenSSL's EVP, and one false tag.
Status test_kernel(const GcmKernel& kernel, std::span<const KnownAnswer> answers = gcm_known_answers());

}  // namespace vmsec::migration
