// Which kernels there are. Another architecture has none, and compiles all the same.
#pragma once

#include "gcm_kernel.hpp"

// VMSEC_WITHOUT_VAES: for who wants none of it compiled.
#if defined(__x86_64__) && !defined(VMSEC_WITHOUT_VAES)
#define VMSEC_HAS_VAES 1
#endif

namespace vmsec::migration {

#if defined(VMSEC_HAS_VAES)
extern const GcmKernel kVaes512;
extern const GcmKernel kVaes256;
#endif

}  // namespace vmsec::migration
