// One pass over a guest's memory: all patterns, piece by piece, so that each byte
// comes from memory once.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "search.hpp"
#include "wanted.hpp"

namespace memory_scanner {

struct Hit {
  std::uint64_t address = 0;
  std::string pattern;  // its name
};

class Scan {
 public:
  // Borrows what is wanted.
  explicit Scan(const Wanted& wanted) : limit_(wanted.hits) {
    for (const auto& [name, bytes] : wanted.patterns) {
      patterns_.emplace_back(&name, Pattern(bytes));
      longest_ = std::max(longest_, bytes.size());
    }
  }

  [[nodiscard]] bool full() const { return hits_.size() >= limit_; }
  [[nodiscard]] const std::vector<Hit>& hits() const { return hits_; }
  [[nodiscard]] std::size_t longest() const { return longest_; }
  // Looked at so far; where the scan ended early, up to the last hit.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

  // Looks at `memory`, which is at `address` of the guest. Its first `seen` bytes
  // were looked at before, as the end of another piece: what lies within them is known.
  void look_at(std::uint64_t address, std::string_view memory, std::size_t seen = 0) {
    for (std::size_t at = 0; at < memory.size() && !full(); at += kPiece) {
      const std::string_view piece = memory.substr(at, kPiece + longest_ - 1);
      for (const auto& [name, pattern] : patterns_)
        look_for(*name, pattern, address + at, piece, at < seen ? seen - at : 0);
      if (full())
        bytes_ += hits_.back().address - (address + at);
      else
        bytes_ += std::min(at + kPiece, memory.size()) - std::max(at, std::min(seen, memory.size()));
    }
  }

 private:
  static constexpr std::size_t kPiece = 256 << 10;  // stays in the cache while each pattern is looked for

  void look_for(const std::string& name, const Pattern& pattern, std::uint64_t address, std::string_view piece,
                std::size_t seen) {
    piece = piece.substr(0, kPiece + pattern.size() - 1);  // what begins behind is the next piece's
    for (auto at = pattern.find_in(piece, 0); at != std::string_view::npos; at = pattern.find_in(piece, at + 1)) {
      if (at + pattern.size() <= seen) continue;
      if (full()) return;
      hits_.push_back({address + at, name});
    }
  }

  std::vector<std::pair<const std::string*, Pattern>> patterns_;
  std::size_t longest_ = 1;
  std::size_t limit_;
  std::vector<Hit> hits_;
  std::uint64_t bytes_ = 0;
};

}  // namespace memory_scanner
