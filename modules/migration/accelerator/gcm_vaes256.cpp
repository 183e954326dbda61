// Two blocks in a 256-bit register.
#include "gcm_kernels.hpp"

#if defined(VMSEC_HAS_VAES)
#include <immintrin.h>

#define VMSEC_TARGET __attribute__((target("vaes,vpclmulqdq,avx2")))
#include "gcm_vaes.hpp"

namespace vmsec::migration {
namespace {

struct Ymm {
  using Vector = __m256i;
  static constexpr std::size_t kSize = 32;

  VMSEC_INLINE static Vector load(const unsigned char* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  VMSEC_INLINE static void store(unsigned char* to, Vector value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), value);
  }
  VMSEC_INLINE static Vector broadcast(const unsigned char* block) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block)));
  }
  VMSEC_INLINE static Vector zero() { return _mm256_setzero_si256(); }
  VMSEC_INLINE static Vector repeat(std::uint64_t word) { return _mm256_set1_epi64x(static_cast<long long>(word)); }

  VMSEC_INLINE static Vector add(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  VMSEC_INLINE static Vector add(Vector a, Vector b, Vector c) { return add(a, add(b, c)); }
  template <int kHalves>
  VMSEC_INLINE static Vector multiply(Vector a, Vector b) {
    return _mm256_clmulepi64_epi128(a, b, kHalves);
  }
  VMSEC_INLINE static Vector swap_halves(Vector value) { return _mm256_shuffle_epi32(value, 0x4e); }
  VMSEC_INLINE static Vector sum_of_blocks(Vector value) {
    const __m128i one = _mm_xor_si128(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
    return _mm256_zextsi128_si256(one);
  }

  VMSEC_INLINE static Vector round(Vector state, Vector key) { return _mm256_aesenc_epi128(state, key); }
  VMSEC_INLINE static Vector last_round(Vector state, Vector key) { return _mm256_aesenclast_epi128(state, key); }

  VMSEC_INLINE static Vector reverse(Vector value) {
    const __m128i order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm256_shuffle_epi8(value, _mm256_broadcastsi128_si256(order));
  }
  // Counters are kept in the CPU's order, which adds fast, and swapped where they are used.
  VMSEC_INLINE static Vector counter_blocks(Vector counter) {
    const __m128i order = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_shuffle_epi8(counter, _mm256_broadcastsi128_si256(order));
  }
  VMSEC_INLINE static Vector advance(Vector counter) {
    return _mm256_add_epi32(counter, _mm256_broadcastsi128_si256(_mm_set_epi32(2, 0, 0, 0)));
  }
  VMSEC_INLINE static Vector first_counter(const unsigned char* nonce, int first) {
    alignas(16) unsigned char block[kGcmBlock] = {};
    std::memcpy(block, nonce, kGcmNonce);
    return _mm256_or_si256(broadcast(block), _mm256_set_epi32(first + 1, 0, 0, 0, first, 0, 0, 0));
  }
};

}  // namespace

const GcmKernel kVaes256 = {"VAES, 256 bit (AVX2)", missing_for_vaes256, fill_gcm_tables, encrypt<Ymm>, decrypt<Ymm>};

}  // namespace vmsec::migration
#endif
