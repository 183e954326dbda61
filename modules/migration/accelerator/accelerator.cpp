#include "accelerator.hpp"

#include <string>

namespace vmsec::migration {

Result<const GcmKernel*> choose_kernel(const CpuFeatures& features, std::span<const GcmKernel* const> kernels,
                                       std::span<const KnownAnswer> answers) {
  if (kernels.empty()) return fail(Code::unsupported, "accelerator vaes: this build has none (it is for x86-64)");
  for (const GcmKernel* kernel : kernels) {
    if (!kernel->missing(features).empty()) continue;
    if (const Status tested = test_kernel(*kernel, answers); !tested)
      return fail(tested.error().in("accelerator vaes"));
    return kernel;
  }
  return fail(Code::unsupported, "accelerator vaes: this CPU lacks " + std::string(kernels.back()->missing(features)));
}

Result<const GcmKernel*> vaes_kernel() {
  static const Result<const GcmKernel*> chosen = choose_kernel(cpu_features(), gcm_kernels());
  return chosen;
}

}  // namespace vmsec::migration
