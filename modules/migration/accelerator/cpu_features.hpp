// What this CPU can do, and whether the operating system saves the registers that it takes.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmsec::migration {

struct CpuFeatures {
  bool x86_64 = false;
  bool aes = false;
  bool pclmulqdq = false;
  bool avx = false;
  bool ymm_state = false;  // XCR0: the system saves and restores ymm
  bool avx2 = false;
  bool vaes = false;
  bool vpclmulqdq = false;
  bool zmm_state = false;  // XCR0: and zmm, with the mask registers
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512vl = false;
};

// What CPUID and XGETBV answer; a leaf that the CPU has not is 0.
struct CpuidLeaves {
  std::uint32_t leaf1_ecx = 0;
  std::uint32_t leaf7_ebx = 0;
  std::uint32_t leaf7_ecx = 0;
  std::uint64_t xcr0 = 0;
};

CpuFeatures decode(const CpuidLeaves& leaves);
// Of the CPU that this runs on.
CpuFeatures cpu_features();

// What is missing for 256-bit VAES, and beyond that for 512-bit: "vpclmulqdq"; empty if nothing is.
std::string_view missing_for_vaes256(const CpuFeatures& features);
std::string_view missing_for_vaes512(const CpuFeatures& features);

}  // namespace vmsec::migration
