// What a kernel of AES-GCM is to the code around it: three functions over one key's tables.
//
// GCM is NIST SP 800-38D. Operands of GHASH are byte-reversed, and a power of H is
// kept multiplied by x, so that a product needs no shift by one bit (S. Gueron and
// M. Kounavis, "Intel Carry-Less Multiplication Instruction and its Usage for
// Computing the GCM Mode", Intel white paper 323640).
#pragma once

#include <cstddef>
#include <span>

#include "cpu_features.hpp"

namespace vmsec::migration {

inline constexpr std::size_t kGcmBlock = 16;
inline constexpr std::size_t kGcmNonce = 12;
inline constexpr std::size_t kGcmPowers = 32;  // blocks hashed before one reduction, at most

// One key's tables. Wiped by whoever holds it.
struct alignas(64) GcmTables {
  unsigned char powers[(kGcmPowers + 4) * kGcmBlock];  // H^32 ... H^1, and zeros for what a vector reads beyond
  unsigned char round_keys[15][kGcmBlock];
  int rounds;
};

// One record. `in` and `out` are the same or do not overlap.
struct GcmText {
  const unsigned char* nonce;  // kGcmNonce bytes
  std::span<const unsigned char> associated;
  const unsigned char* in;
  unsigned char* out;
  std::size_t size;
};

struct GcmKernel {
  const char* name;
  std::string_view (*missing)(const CpuFeatures& features);
  void (*set_key)(GcmTables& tables, std::span<const unsigned char> key);  // 16 or 32 bytes
  // Both write the text and its tag; to compare tags is the caller's.
  void (*encrypt)(const GcmTables& tables, const GcmText& text, unsigned char* tag);
  void (*decrypt)(const GcmTables& tables, const GcmText& text, unsigned char* tag);
};

// What this build has, the widest first; empty on other architectures.
std::span<const GcmKernel* const> gcm_kernels();

}  // namespace vmsec::migration
