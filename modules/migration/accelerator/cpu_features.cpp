#include "cpu_features.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vmsec::migration {
namespace {

struct Need {
  bool CpuFeatures::* feature;
  std::string_view name;
};

constexpr Need kNeeds256[] = {
    {&CpuFeatures::x86_64, "x86-64"},
    {&CpuFeatures::aes, "aes"},
    {&CpuFeatures::pclmulqdq, "pclmulqdq"},
    {&CpuFeatures::avx, "avx"},
    {&CpuFeatures::avx2, "avx2"},
    {&CpuFeatures::vaes, "vaes"},
    {&CpuFeatures::vpclmulqdq, "vpclmulqdq"},
    {&CpuFeatures::ymm_state, "ymm registers that the system saves (XCR0)"},
};
constexpr Need kNeeds512[] = {
    {&CpuFeatures::avx512f, "avx512f"},
    {&CpuFeatures::avx512bw, "avx512bw"},
    {&CpuFeatures::avx512vl, "avx512vl"},
    {&CpuFeatures::zmm_state, "zmm registers that the system saves (XCR0)"},
};

template <std::size_t kCount>
std::string_view first_missing(const CpuFeatures& features, const Need (&needs)[kCount]) {
  for (const Need& need : needs)
    if (!(features.*need.feature)) return need.name;
  return {};
}

#if defined(__x86_64__)
constexpr std::uint32_t kOsxsave = 1u << 27;

// In assembly, for the intrinsic wants a target of its own.
std::uint64_t read_xcr0() {
  std::uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (std::uint64_t{high} << 32) | low;
}

CpuidLeaves read_leaves() {
  CpuidLeaves leaves;
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0) leaves.leaf1_ecx = ecx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0) {
    leaves.leaf7_ebx = ebx;
    leaves.leaf7_ecx = ecx;
  }
  if ((leaves.leaf1_ecx & kOsxsave) != 0) leaves.xcr0 = read_xcr0();
  return leaves;
}
#endif

}  // namespace

// Intel SDM, volume 2, CPUID; volume 1, 13.3 (XCR0: 1 xmm, 2 ymm, 5 masks, 6 and 7 zmm).
CpuFeatures decode(const CpuidLeaves& leaves) {
  const auto bit = [](std::uint64_t word, unsigned number) { return ((word >> number) & 1) != 0; };
  constexpr std::uint64_t kYmm = 0x06, kZmm = 0xe6;
  CpuFeatures out;
  out.x86_64 = true;
  out.pclmulqdq = bit(leaves.leaf1_ecx, 1);
  out.aes = bit(leaves.leaf1_ecx, 25);
  out.avx = bit(leaves.leaf1_ecx, 28);
  out.avx2 = bit(leaves.leaf7_ebx, 5);
  out.avx512f = bit(leaves.leaf7_ebx, 16);
  out.avx512bw = bit(leaves.leaf7_ebx, 30);
  out.avx512vl = bit(leaves.leaf7_ebx, 31);
  out.vaes = bit(leaves.leaf7_ecx, 9);
  out.vpclmulqdq = bit(leaves.leaf7_ecx, 10);
  out.ymm_state = (leaves.xcr0 & kYmm) == kYmm;
  out.zmm_state = (leaves.xcr0 & kZmm) == kZmm;
  return out;
}

CpuFeatures cpu_features() {
#if defined(__x86_64__)
  return decode(read_leaves());
#else
  return {};
#endif
}

std::string_view missing_for_vaes256(const CpuFeatures& features) { return first_missing(features, kNeeds256); }

std::string_view missing_for_vaes512(const CpuFeatures& features) {
  const std::string_view missing = missing_for_vaes256(features);
  return missing.empty() ? first_missing(features, kNeeds512) : missing;
}

}  // namespace vmsec::migration
