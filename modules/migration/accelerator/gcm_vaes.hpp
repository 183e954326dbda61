// AES-GCM over vectors of some blocks, written once for every width.
//
// Included by the file of one width, which defines VMSEC_TARGET and a type `V`: its
// vector and the few operations on it. Counter mode of one group of vectors and GHASH
// of another (when encrypting, the group before) run side by side: neither waits for
// the other, so the CPU's AES and multiplication units are both kept busy.
#pragma once

#include <cstdint>
#include <cstring>

#include "gcm_key.hpp"

#define VMSEC_INLINE VMSEC_TARGET __attribute__((always_inline)) inline

namespace vmsec::migration {
namespace {

constexpr int kVectors = 8;  // of a group

template <class V>
constexpr std::size_t kGroup = kVectors * V::kSize;

template <class V>
constexpr std::size_t kFirstPower = kGcmPowers * kGcmBlock - kGroup<V>;

template <class V>
struct Products {
  typename V::Vector low, middle, high;
};

template <class V>
VMSEC_INLINE void multiply_add(Products<V>& sum, typename V::Vector blocks, typename V::Vector powers) {
  sum.low = V::add(sum.low, V::template multiply<0x00>(blocks, powers));
  sum.middle =
      V::add(sum.middle, V::template multiply<0x01>(blocks, powers), V::template multiply<0x10>(blocks, powers));
  sum.high = V::add(sum.high, V::template multiply<0x11>(blocks, powers));
}

// Modulo x^128 + x^7 + x^2 + x + 1, reflected, each block on its own; then their sum, in block 0.
template <class V>
VMSEC_INLINE typename V::Vector reduce(const Products<V>& sum) {
  const auto polynomial = V::repeat(0xc200000000000000);
  const auto middle = V::add(sum.middle, V::swap_halves(sum.low), V::template multiply<0x00>(sum.low, polynomial));
  const auto high = V::add(sum.high, V::swap_halves(middle), V::template multiply<0x00>(middle, polynomial));
  return V::sum_of_blocks(high);
}

// The next kVectors counters, as the first round leaves them.
template <class V>
VMSEC_INLINE void begin_group(const GcmTables& tables, typename V::Vector& counter, typename V::Vector* state) {
  const auto key = V::broadcast(tables.round_keys[0]);
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
    state[i] = V::add(V::counter_blocks(counter), key);
    counter = V::advance(counter);
  }
}

template <class V>
VMSEC_INLINE void aes_round(typename V::Vector* state, const unsigned char* round_key) {
  const auto key = V::broadcast(round_key);
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) state[i] = V::round(state[i], key);
}

template <class V>
VMSEC_INLINE void finish_group(typename V::Vector* state, const unsigned char* round_key, const unsigned char* in,
                               unsigned char* out) {
  const auto key = V::broadcast(round_key);
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i)
    V::store(out + i * V::kSize, V::last_round(state[i], V::add(key, V::load(in + i * V::kSize))));
}

// Vector `i` of a group into the sum.
template <class V>
VMSEC_INLINE void hash_vector(const GcmTables& tables, const unsigned char* group, int i, Products<V>& sum,
                              typename V::Vector& hash) {
  auto blocks = V::reverse(V::load(group + i * V::kSize));
  if (i == 0) blocks = V::add(blocks, hash);
  multiply_add<V>(sum, blocks, V::load(tables.powers + kFirstPower<V> + i * V::kSize));
}

template <class V>
VMSEC_INLINE void hash_group(const GcmTables& tables, const unsigned char* group, typename V::Vector& hash) {
  Products<V> sum{V::zero(), V::zero(), V::zero()};
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) hash_vector<V>(tables, group, i, sum, hash);
  hash = reduce<V>(sum);
}

template <class V, int kRounds>
VMSEC_INLINE void crypt_group(const GcmTables& tables, typename V::Vector& counter, const unsigned char* in,
                              unsigned char* out) {
  typename V::Vector state[kVectors];
  begin_group<V>(tables, counter, state);
#pragma GCC unroll 16
  for (int round = 1; round < kRounds; ++round) aes_round<V>(state, tables.round_keys[round]);
  finish_group<V>(state, tables.round_keys[kRounds], in, out);
}

// One group of counter mode with the hash of `hashed`: the group before it, or `in` itself.
template <class V, int kRounds>
VMSEC_INLINE void crypt_and_hash(const GcmTables& tables, typename V::Vector& counter, const unsigned char* in,
                                 unsigned char* out, const unsigned char* hashed, typename V::Vector& hash) {
  typename V::Vector state[kVectors];
  Products<V> sum{V::zero(), V::zero(), V::zero()};
  begin_group<V>(tables, counter, state);
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) {
    aes_round<V>(state, tables.round_keys[i + 1]);
    hash_vector<V>(tables, hashed, i, sum, hash);
  }
#pragma GCC unroll 8
  for (int round = kVectors + 1; round < kRounds; ++round) aes_round<V>(state, tables.round_keys[round]);
  hash = reduce<V>(sum);
  finish_group<V>(state, tables.round_keys[kRounds], in, out);
}

// What lay on the stack does not stay there; a compiler may not leave this out.
VMSEC_INLINE void forget(unsigned char* bytes, std::size_t size) {
  std::memset(bytes, 0, size);
  __asm__ volatile("" : : "r"(bytes) : "memory");
}

// The first `size` bytes of a vector; the rest is zero.
template <class V>
VMSEC_INLINE typename V::Vector load_some(const unsigned char* from, std::size_t size) {
  if (size >= V::kSize) return V::load(from);
  alignas(64) unsigned char bytes[V::kSize] = {};
  std::memcpy(bytes, from, size);
  const auto value = V::load(bytes);
  forget(bytes, V::kSize);
  return value;
}

template <class V>
VMSEC_INLINE void store_some(unsigned char* to, typename V::Vector value, std::size_t size) {
  if (size >= V::kSize) return V::store(to, value);
  alignas(64) unsigned char bytes[V::kSize];
  V::store(bytes, value);
  std::memcpy(to, bytes, size);
  forget(bytes, V::kSize);
}

template <class V>
VMSEC_INLINE typename V::Vector encrypt_vector(const GcmTables& tables, typename V::Vector counter) {
  auto state = V::add(V::counter_blocks(counter), V::broadcast(tables.round_keys[0]));
  for (int round = 1; round < tables.rounds; ++round) state = V::round(state, V::broadcast(tables.round_keys[round]));
  return V::last_round(state, V::broadcast(tables.round_keys[tables.rounds]));
}

// Less than a group.
template <class V>
VMSEC_TARGET void crypt_rest(const GcmTables& tables, typename V::Vector& counter, const unsigned char* in,
                             unsigned char* out, std::size_t size) {
  for (std::size_t done = 0; done < size; done += V::kSize) {
    const auto key_stream = encrypt_vector<V>(tables, counter);
    store_some<V>(out + done, V::add(key_stream, load_some<V>(in + done, size - done)), size - done);
    counter = V::advance(counter);
  }
}

// At most a group, as if zeros filled its last block: its n blocks take H^n ... H^1.
template <class V>
VMSEC_TARGET void hash_rest(const GcmTables& tables, const unsigned char* in, std::size_t size,
                            typename V::Vector& hash) {
  if (size == 0) return;
  const unsigned char* powers = tables.powers + (kGcmPowers - (size + kGcmBlock - 1) / kGcmBlock) * kGcmBlock;
  Products<V> sum{V::zero(), V::zero(), V::zero()};
  for (std::size_t done = 0; done < size; done += V::kSize) {
    auto blocks = V::reverse(load_some<V>(in + done, size - done));
    if (done == 0) blocks = V::add(blocks, hash);
    multiply_add<V>(sum, blocks, V::load(powers + done));
  }
  hash = reduce<V>(sum);
}

template <class V>
VMSEC_TARGET void hash_all(const GcmTables& tables, std::span<const unsigned char> bytes, typename V::Vector& hash) {
  std::size_t done = 0;
  for (; bytes.size() - done >= kGroup<V>; done += kGroup<V>) hash_group<V>(tables, bytes.data() + done, hash);
  hash_rest<V>(tables, bytes.data() + done, bytes.size() - done, hash);
}

// The lengths' block, and the tag: GHASH plus the first counter block's key stream.
template <class V>
VMSEC_TARGET void write_tag(const GcmTables& tables, const GcmText& text, typename V::Vector hash, unsigned char* tag) {
  unsigned char block[kGcmBlock];
  const std::uint64_t bits[] = {std::uint64_t{text.associated.size()} * 8, std::uint64_t{text.size} * 8};
  for (std::size_t i = 0; i < kGcmBlock; ++i) block[i] = static_cast<unsigned char>(bits[i / 8] >> (8 * (7 - i % 8)));
  hash_rest<V>(tables, block, sizeof block, hash);
  const auto mask = encrypt_vector<V>(tables, V::first_counter(text.nonce, 1));
  store_some<V>(tag, V::add(V::reverse(hash), mask), kGcmBlock);
}

template <class V, int kRounds>
VMSEC_TARGET void encrypt_rounds(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  auto hash = V::zero();
  hash_all<V>(tables, text.associated, hash);
  auto counter = V::first_counter(text.nonce, 2);
  std::size_t done = 0;
  if (text.size >= kGroup<V>) {
    crypt_group<V, kRounds>(tables, counter, text.in, text.out);
    for (done = kGroup<V>; text.size - done >= kGroup<V>; done += kGroup<V>)
      crypt_and_hash<V, kRounds>(tables, counter, text.in + done, text.out + done, text.out + done - kGroup<V>, hash);
    hash_group<V>(tables, text.out + done - kGroup<V>, hash);
  }
  crypt_rest<V>(tables, counter, text.in + done, text.out + done, text.size - done);
  hash_rest<V>(tables, text.out + done, text.size - done, hash);
  write_tag<V>(tables, text, hash, tag);
}

template <class V, int kRounds>
VMSEC_TARGET void decrypt_rounds(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  auto hash = V::zero();
  hash_all<V>(tables, text.associated, hash);
  auto counter = V::first_counter(text.nonce, 2);
  std::size_t done = 0;
  for (; text.size - done >= kGroup<V>; done += kGroup<V>)
    crypt_and_hash<V, kRounds>(tables, counter, text.in + done, text.out + done, text.in + done, hash);
  hash_rest<V>(tables, text.in + done, text.size - done, hash);  // before it is overwritten
  crypt_rest<V>(tables, counter, text.in + done, text.out + done, text.size - done);
  write_tag<V>(tables, text, hash, tag);
}

template <class V>
void encrypt(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  if (tables.rounds == 10) return encrypt_rounds<V, 10>(tables, text, tag);
  encrypt_rounds<V, 14>(tables, text, tag);
}

template <class V>
void decrypt(const GcmTables& tables, const GcmText& text, unsigned char* tag) {
  if (tables.rounds == 10) return decrypt_rounds<V, 10>(tables, text, tag);
  decrypt_rounds<V, 14>(tables, text, tag);
}

}  // namespace
}  // namespace vmsec::migration
