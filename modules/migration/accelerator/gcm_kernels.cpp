#include "gcm_kernels.hpp"

namespace vmsec::migration {

std::span<const GcmKernel* const> gcm_kernels() {
#if defined(VMSEC_HAS_VAES)
  static constexpr const GcmKernel* kKernels[] = {&kVaes512, &kVaes256};
  return kKernels;
#else
  return {};
#endif
}

}  // namespace vmsec::migration
