// Where a pattern is in bytes, at the speed of memory.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace memory_scanner {

// At least one byte; neither the first nor the last is zero, since memory is full of
// zeros and those two are compared first. Borrows the bytes.
class Pattern {
 public:
  explicit Pattern(std::string_view bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

  // Where it begins at or behind `at`; npos where it is not. The bytes may change
  // meanwhile, as a running guest's do.
  [[nodiscard]] std::size_t find_in(std::string_view memory, std::size_t at) const {
#ifdef __SSE2__
    // Sixteen places at once: do both bytes stand where they would?
    constexpr std::size_t kStep = 16;
    const __m128i first = _mm_set1_epi8(bytes_.front());
    const __m128i last = _mm_set1_epi8(bytes_.back());
    for (; memory.size() >= size() + kStep && at <= memory.size() - size() - kStep; at += kStep) {
      const __m128i here =
          _mm_and_si128(_mm_cmpeq_epi8(first, load(memory, at)), _mm_cmpeq_epi8(last, load(memory, at + size() - 1)));
      for (int places = _mm_movemask_epi8(here); places != 0; places &= places - 1) {
        const std::size_t place = at + static_cast<std::size_t>(__builtin_ctz(static_cast<unsigned>(places)));
        if (std::memcmp(memory.data() + place, bytes_.data(), size()) == 0) return place;
      }
    }
#endif
    return memory.find(bytes_, at);
  }

 private:
#ifdef __SSE2__
  static __m128i load(std::string_view memory, std::size_t at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(memory.data() + at));
  }
#endif

  std::string_view bytes_;
};

}  // namespace memory_scanner
