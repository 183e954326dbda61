// Four blocks in a 512-bit register.
#include "gcm_kernels.hpp"

#if defined(VMSEC_HAS_VAES)
#include <immintrin.h>

#define VMSEC_TARGET __attribute__((target("vaes,vpclmulqdq,avx512f,avx512bw,avx512vl")))
#include "gcm_vaes.hpp"

namespace vmsec::migration {
namespace {

struct Zmm {
  using Vector = __m512i;
  static constexpr std::size_t kSize = 64;

  VMSEC_INLINE static Vector load(const unsigned char* from) { return _mm512_loadu_si512(from); }
  VMSEC_INLINE static void store(unsigned char* to, Vector value) { _mm512_storeu_si512(to, value); }
  VMSEC_INLINE static Vector broadcast(const unsigned char* block) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block)));
  }
  VMSEC_INLINE static Vector zero() { return _mm512_setzero_si512(); }
  VMSEC_INLINE static Vector repeat(std::uint64_t word) { return _mm512_set1_epi64(static_cast<long long>(word)); }

  VMSEC_INLINE static Vector add(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  VMSEC_INLINE static Vector add(Vector a, Vector b, Vector c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  template <int kHalves>
  VMSEC_INLINE static Vector multiply(Vector a, Vector b) {
    return _mm512_clmulepi64_epi128(a, b, kHalves);
  }
  VMSEC_INLINE static Vector swap_halves(Vector value) {
    return _mm512_shuffle_epi32(value, static_cast<_MM_PERM_ENUM>(0x4e));
  }
  VMSEC_INLINE static Vector sum_of_blocks(Vector value) {
    const __m256i two = _mm256_xor_si256(_mm512_castsi512_si256(value), _mm512_extracti64x4_epi64(value, 1));
    const __m128i one = _mm_xor_si128(_mm256_castsi256_si128(two), _mm256_extracti128_si256(two, 1));
    return _mm512_zextsi128_si512(one);
  }

  VMSEC_INLINE static Vector round(Vector state, Vector key) { return _mm512_aesenc_epi128(state, key); }
  VMSEC_INLINE static Vector last_round(Vector state, Vector key) { return _mm512_aesenclast_epi128(state, key); }

  VMSEC_INLINE static Vector reverse(Vector value) {
    const __m128i order = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_shuffle_epi8(value, _mm512_broadcast_i32x4(order));
  }
  // Counters are kept in the CPU's order, which adds fast, and swapped where they are used.
  VMSEC_INLINE static Vector counter_blocks(Vector counter) {
    const __m128i order = _mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    return _mm512_shuffle_epi8(counter, _mm512_broadcast_i32x4(order));
  }
  VMSEC_INLINE static Vector advance(Vector counter) {
    return _mm512_add_epi32(counter, _mm512_broadcast_i32x4(_mm_set_epi32(4, 0, 0, 0)));
  }
  VMSEC_INLINE static Vector first_counter(const unsigned char* nonce, int first) {
    alignas(16) unsigned char block[kGcmBlock] = {};
    std::memcpy(block, nonce, kGcmNonce);
    const Vector lanes = _mm512_set_epi32(first + 3, 0, 0, 0, first + 2, 0, 0, 0, first + 1, 0, 0, 0, first, 0, 0, 0);
    return _mm512_or_si512(broadcast(block), lanes);
  }
};

}  // namespace

const GcmKernel kVaes512 = {"VAES, 512 bit (AVX-512)", missing_for_vaes512, fill_gcm_tables, encrypt<Zmm>,
                            decrypt<Zmm>};

}  // namespace vmsec::migration
#endif
