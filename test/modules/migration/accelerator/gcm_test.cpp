// The accelerator's AES-GCM computes what OpenSSL's does, at every length and place.
#include <cstdlib>
#include <new>
#include <set>

#include "gcm_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

// Each key size of each kernel.
template <class Test>
void for_each_key(Test test) {
  for (const GcmKernel* kernel : kernels_here())
    for (const std::size_t size : {std::size_t{16}, std::size_t{32}}) {
      INFO(kernel->name << ", a key of " << size);
      Both both(*kernel, noise(size, size));
      test(both);
    }
}

// Around every multiple at which a kernel's path changes, up to the largest record.
std::set<std::size_t> edges() {
  std::set<std::size_t> out;
  for (const std::size_t unit : {16, 64, 128, 256, 512})
    for (const std::size_t times : {1, 2, 3, 5, 8, 15, 16, 17, 31, 33})
      for (const std::size_t length : {unit * times - 1, unit * times, unit * times + 1}) out.insert(length);
  for (const std::size_t length : {std::size_t{65536}, std::size_t{1} << 18, std::size_t{1} << 20})
    for (const std::size_t other : {length - 17, length - 1, length, length + 1}) out.insert(other);
  return out;
}

}  // namespace

TEST_CASE("the kernels of this CPU pass the published vectors and the comparison to EVP") {
  for (const GcmKernel* kernel : kernels_here()) {
    const Status tested = test_kernel(*kernel);
    INFO((tested ? "" : tested.error().message));
    CHECK(tested);
  }
}

TEST_CASE("every length up to 600 is sealed and opened as EVP does") {
  for_each_key([](Both& both) {
    for (std::size_t length = 0; length <= 600; ++length) {
      INFO(length << " bytes");
      both.agree(noise(12, length), noise(16, 3), noise(length, length + 1));
    }
  });
}

TEST_CASE("lengths around every edge, up to 1 MiB, are sealed and opened as EVP does") {
  for_each_key([](Both& both) {
    for (const std::size_t length : edges()) {
      INFO(length << " bytes");
      both.agree(noise(12, length), noise(16, 4), noise(length, length));
    }
  });
}

TEST_CASE("associated data of every length is authenticated as EVP does") {
  for_each_key([](Both& both) {
    for (std::size_t length = 0; length <= 64; ++length)
      for (const std::size_t text : {0, 1, 16, 77, 513, 1100})
        both.agree(noise(12, length), noise(length, 5), noise(text, length));
    for (const std::size_t length : {255, 256, 257, 511, 512, 513, 1024, 5001, 70000})
      both.agree(noise(12, 6), noise(length, 7), noise(33, 8));
  });
}

TEST_CASE("many keys, those of equal bytes among them, give what EVP gives") {
  for (const GcmKernel* kernel : kernels_here())
    for (const std::size_t size : {std::size_t{16}, std::size_t{32}}) {
      for (const unsigned char byte : {0x00, 0x01, 0x80, 0xff})
        Both(*kernel, Buffer(size, byte)).agree(noise(12, byte), noise(13, byte), noise(777, byte));
      for (std::uint64_t seed = 0; seed < 250; ++seed)
        Both(*kernel, noise(size, seed)).agree(noise(12, seed), noise(seed % 23, seed), noise(seed * 7 % 1500, seed));
    }
}

TEST_CASE("buffers may lie at any address") {
  for_each_key([](Both& both) {
    const Buffer nonce = noise(12, 1), associated = noise(21, 2);
    for (std::size_t offset = 0; offset < 64; ++offset) {
      const std::size_t size = 1100 + offset * 3;
      const Buffer text = noise(size, offset);
      const Sealed wanted = both.evp_seals(nonce, associated, text);
      Buffer in(size + 64), out(size + 64), tag(kGcmBlock);
      std::copy(text.begin(), text.end(), in.begin() + static_cast<std::ptrdiff_t>(offset));
      const std::span<unsigned char> from = std::span(in).subspan(offset, size);
      const std::span<unsigned char> to = std::span(out).subspan(63 - offset, size);
      REQUIRE(both.gcm().seal(nonce_of(nonce), associated, from, to, tag_of(tag)));
      REQUIRE(std::equal(to.begin(), to.end(), wanted.text.begin()));
      REQUIRE(tag == wanted.tag);
      REQUIRE(both.gcm().open(nonce_of(nonce), associated, to, from, tag_of(std::as_const(tag))));
      REQUIRE(std::equal(from.begin(), from.end(), text.begin()));
    }
  });
}

// With 12 bytes of nonce the counter starts at 1 (2 for the text) and has 32 bits of its
// own: a text that the limits allow cannot wrap it, and it never carries into the nonce.
TEST_CASE("the block counter carries over its bytes, across a vector's blocks, and not into the nonce") {
  for_each_key([](Both& both) {
    const Buffer all_ones(12, 0xff);
    // 255 blocks carry once, 65535 twice; each of a vector's places has the carry in turn.
    for (std::size_t blocks = 252; blocks <= 260; ++blocks) both.agree(all_ones, {}, noise(blocks * 16 + 5, blocks));
    both.agree(all_ones, {}, noise((std::size_t{1} << 20) + 4096, 9));
  });
}

TEST_CASE("keys of other sizes, texts of other sizes and buffers that overlap in part are refused") {
  for (const GcmKernel* kernel : kernels_here()) {
    for (const std::size_t size : {0, 15, 24, 33}) CHECK_FALSE(AesGcm::create(*kernel, noise(size, 1)));
    const AesGcm gcm = *AesGcm::create(*kernel, noise(16, 1));
    const Buffer nonce = noise(12, 1);
    Buffer buffer = noise(100, 1), tag(kGcmBlock);
    const std::span<unsigned char> bytes(buffer);
    CHECK_FALSE(gcm.seal(nonce_of(nonce), {}, bytes.first(50), bytes.last(49), tag_of(tag)));
    CHECK_FALSE(gcm.seal(nonce_of(nonce), {}, bytes.first(60), bytes.last(60), tag_of(tag)));
    CHECK_FALSE(gcm.open(nonce_of(nonce), {}, bytes.last(60), bytes.first(60), tag_of(std::as_const(tag))));
    CHECK(buffer == noise(100, 1));
    CHECK(gcm.seal(nonce_of(nonce), {}, bytes.first(50), bytes.last(50), tag_of(tag)));
  }
}

// ThreadSanitizer's run-time has these operators already, and does not give way.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define VMSEC_OPERATORS_TAKEN
#endif
#endif
#ifndef VMSEC_OPERATORS_TAKEN

namespace {

// The tables of a key as they are when their memory is given back.
bool g_watching = false;
bool g_all_zero = false;

void look_at(const void* memory) {
  if (!g_watching) return;
  const auto* bytes = static_cast<const unsigned char*>(memory);
  g_all_zero = std::all_of(bytes, bytes + sizeof(GcmTables), [](unsigned char byte) { return byte == 0; });
}

}  // namespace

// Only what is aligned as the tables are comes by here.
void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  if (void* memory = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory, std::align_val_t) noexcept {
  look_at(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  look_at(memory);
  std::free(memory);
}

TEST_CASE("round keys and powers of H are wiped before their memory is given back") {
  for (const GcmKernel* kernel : kernels_here()) {
    auto gcm = AesGcm::create(*kernel, noise(32, 1));
    REQUIRE(gcm);
    g_watching = true;
    g_all_zero = false;
    gcm = fail(Code::internal, "gone");
    g_watching = false;
    CHECK(g_all_zero);
  }
}

#endif
