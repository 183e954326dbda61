#include "gcm_key.hpp"

#include "gcm_kernels.hpp"

#if defined(VMSEC_HAS_VAES)
#include <immintrin.h>

#include <cstring>

#define VMSEC_TARGET __attribute__((target("aes,pclmul,ssse3,sse4.1")))

namespace vmsec::migration {
namespace {

VMSEC_TARGET __m128i load(const unsigned char* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }
VMSEC_TARGET void store(unsigned char* to, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value); }

// FIPS 197, 5.2: the running XOR of a round key's four words, with the new word mixed in.
VMSEC_TARGET __m128i mix(__m128i previous, __m128i word) {
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 4));
  previous = _mm_xor_si128(previous, _mm_slli_si128(previous, 8));
  return _mm_xor_si128(previous, word);
}

// SubWord of words 1 and 3, in constant time: the round constant is added by the caller.
VMSEC_TARGET __m128i assist(__m128i key) { return _mm_aeskeygenassist_si128(key, 0); }

constexpr int kWithRotation = 0xff, kWithout = 0xaa;

VMSEC_TARGET void expand_128(unsigned char (*keys)[kGcmBlock]) {
  int constant = 1;
  for (int i = 1; i <= 10; ++i) {
    const __m128i previous = load(keys[i - 1]);
    const __m128i word = _mm_shuffle_epi32(assist(previous), kWithRotation);
    store(keys[i], _mm_xor_si128(mix(previous, word), _mm_set1_epi32(constant)));
    constant = (constant << 1) ^ ((constant & 0x80) != 0 ? 0x11b : 0);
  }
}

VMSEC_TARGET void expand_256(unsigned char (*keys)[kGcmBlock]) {
  int constant = 1;
  for (int i = 2; i <= 14; ++i) {
    const __m128i before = load(keys[i - 2]);
    const __m128i helper = assist(load(keys[i - 1]));
    if (i % 2 == 1) {
      store(keys[i], mix(before, _mm_shuffle_epi32(helper, kWithout)));
      continue;
    }
    const __m128i word = _mm_shuffle_epi32(helper, kWithRotation);
    store(keys[i], _mm_xor_si128(mix(before, word), _mm_set1_epi32(constant)));
    constant <<= 1;
  }
}

VMSEC_TARGET __m128i encrypt_zero(const GcmTables& tables) {
  __m128i state = load(tables.round_keys[0]);
  for (int i = 1; i < tables.rounds; ++i) state = _mm_aesenc_si128(state, load(tables.round_keys[i]));
  return _mm_aesenclast_si128(state, load(tables.round_keys[tables.rounds]));
}

VMSEC_TARGET __m128i reversed(__m128i value) {
  return _mm_shuffle_epi8(value, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

// H times x, modulo the field's polynomial; without a branch on H.
VMSEC_TARGET __m128i times_x(__m128i value) {
  const __m128i carries = _mm_shuffle_epi32(_mm_srai_epi32(value, 31), 0xff);
  const __m128i across = _mm_slli_si128(_mm_srli_epi64(value, 63), 8);
  const __m128i shifted = _mm_or_si128(_mm_slli_epi64(value, 1), across);
  const __m128i polynomial = _mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1);
  return _mm_xor_si128(shifted, _mm_and_si128(carries, polynomial));
}

// a * b / x: of two powers that are kept times x, the product that is kept times x.
VMSEC_TARGET __m128i multiply(__m128i a, __m128i b) {
  const __m128i polynomial = _mm_set1_epi64x(static_cast<long long>(0xc200000000000000));
  const __m128i low = _mm_clmulepi64_si128(a, b, 0x00);
  __m128i middle = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));
  __m128i high = _mm_clmulepi64_si128(a, b, 0x11);
  middle = _mm_xor_si128(middle, _mm_shuffle_epi32(low, 0x4e));
  middle = _mm_xor_si128(middle, _mm_clmulepi64_si128(low, polynomial, 0x00));
  high = _mm_xor_si128(high, _mm_shuffle_epi32(middle, 0x4e));
  return _mm_xor_si128(high, _mm_clmulepi64_si128(middle, polynomial, 0x00));
}

}  // namespace

VMSEC_TARGET void fill_gcm_tables(GcmTables& tables, std::span<const unsigned char> key) {
  std::memset(&tables, 0, sizeof tables);
  std::memcpy(tables.round_keys, key.data(), key.size());
  tables.rounds = key.size() == 16 ? 10 : 14;
  if (tables.rounds == 10)
    expand_128(tables.round_keys);
  else
    expand_256(tables.round_keys);
  const __m128i first = times_x(reversed(encrypt_zero(tables)));
  __m128i power = first;
  for (std::size_t i = kGcmPowers; i-- > 0; power = multiply(power, first)) store(tables.powers + i * kGcmBlock, power);
}

}  // namespace vmsec::migration
#endif
