// Which kernel seals, when the configuration asks for the accelerator.
#pragma once

#include "known_answers.hpp"

namespace vmsec::migration {

// The widest of `kernels` that a CPU with these features runs, once it has passed its
// test. An error names what is missing or wrong; a kernel that fails is not replaced by
// a narrower one.
Result<const GcmKernel*> choose_kernel(const CpuFeatures& features, std::span<const GcmKernel* const> kernels,
                                       std::span<const KnownAnswer> answers = gcm_known_answers());

// That of this CPU: chosen and tested at the first call, the same answer ever after. Thread-safe.
Result<const GcmKernel*> vaes_kernel();

}  // namespace vmsec::migration
