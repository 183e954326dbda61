// Neither a byte before nor a byte behind a buffer is touched: pages without access lie there.
#include <sys/mman.h>
#include <unistd.h>

#include "gcm_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

enum class Place { at_the_front, at_the_end };

// Some pages between two that nobody may touch.
class Guarded {
 public:
  explicit Guarded(std::size_t size) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    usable_ = (size + page_ - 1) / page_ * page_;
    void* memory = ::mmap(nullptr, usable_ + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    base_ = static_cast<unsigned char*>(memory);
    REQUIRE(::mprotect(base_ + page_, usable_, PROT_READ | PROT_WRITE) == 0);
  }
  ~Guarded() { ::munmap(base_, usable_ + 2 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::span<unsigned char> at(Place place, std::size_t size) {
    return {base_ + page_ + (place == Place::at_the_front ? 0 : usable_ - size), size};
  }
  std::span<unsigned char> holding(Place place, const Buffer& bytes) {
    const auto span = at(place, bytes.size());
    std::copy(bytes.begin(), bytes.end(), span.begin());
    return span;
  }

 private:
  std::size_t page_, usable_ = 0;
  unsigned char* base_ = nullptr;
};

struct Arena {
  Guarded key{32}, nonce{kGcmNonce}, associated{100}, in{20000}, out{20000}, tag{kGcmBlock};
};

void seal_and_open(Arena& arena, const GcmKernel& kernel, Place place, std::size_t key_size, std::size_t size) {
  const Buffer text = noise(size, size);
  const auto gcm = AesGcm::create(kernel, arena.key.holding(place, noise(key_size, 1)));
  REQUIRE(gcm);
  const AesGcm::Nonce nonce = arena.nonce.holding(place, noise(kGcmNonce, 2)).first<kGcmNonce>();
  const auto associated = arena.associated.holding(place, noise(size % 67, 3));
  const auto in = arena.in.holding(place, text), out = arena.out.at(place, size);
  const auto tag = arena.tag.at(place, kGcmBlock).first<kGcmBlock>();
  REQUIRE(gcm->seal(nonce, associated, in, out, tag));
  REQUIRE(gcm->open(nonce, associated, out, in, tag));
  REQUIRE(std::equal(in.begin(), in.end(), text.begin()));
  REQUIRE(gcm->seal(nonce, associated, in, in, tag));
  REQUIRE(std::equal(in.begin(), in.end(), out.begin()));
  tag[0] ^= 1;
  REQUIRE_FALSE(gcm->open(nonce, associated, in, in, tag));
}

}  // namespace

TEST_CASE("buffers that end or begin at a page without access are sealed and opened") {
  Arena arena;
  for (const GcmKernel* kernel : kernels_here())
    for (const Place place : {Place::at_the_front, Place::at_the_end})
      for (const std::size_t key : {16, 32}) {
        for (std::size_t size = 0; size <= 600; ++size) seal_and_open(arena, *kernel, place, key, size);
        for (const std::size_t size : {1023, 1024, 1025, 1537, 4095, 4096, 16399, 20000})
          seal_and_open(arena, *kernel, place, key, size);
      }
}
