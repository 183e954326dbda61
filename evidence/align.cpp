#include "align.hpp"

#include <algorithm>
#include <cstdint>

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxCells = std::size_t{1} << 24;

std::uint32_t likeness(const Place& left, const Place& right) {
  for (const auto& digest : right.digests)
    if (std::ranges::find(left.digests, digest) != left.digests.end()) return 4;
  return !left.kind.empty() && left.kind == right.kind ? 1 : 0;
}

// The longest common subsequence, weighted.
class Aligner {
 public:
  Aligner(const std::vector<Place>& left, const std::vector<Place>& right)
      : left_(left), right_(right), best_((left.size() + 1) * (right.size() + 1), 0) {}

  std::vector<PlacePair> align() && {
    for (std::size_t l = left_.size(); l-- > 0;)
      for (std::size_t r = right_.size(); r-- > 0;)
        best(l, r) = std::max({best(l + 1, r), best(l, r + 1), paired(l, r)});
    std::vector<PlacePair> pairs;
    std::size_t l = 0;
    std::size_t r = 0;
    while (l < left_.size() || r < right_.size()) {
      if (l < left_.size() && r < right_.size() && likeness(left_[l], right_[r]) > 0 && best(l, r) == paired(l, r))
        pairs.push_back({l++, r++});
      else if (l < left_.size() && best(l, r) == best(l + 1, r))
        pairs.push_back({l++, std::nullopt});
      else
        pairs.push_back({std::nullopt, r++});
    }
    return pairs;
  }

 private:
  std::uint32_t& best(std::size_t l, std::size_t r) { return best_[l * (right_.size() + 1) + r]; }
  std::uint32_t paired(std::size_t l, std::size_t r) {
    const auto like = likeness(left_[l], right_[r]);
    return like == 0 ? 0 : like + best(l + 1, r + 1);
  }

  const std::vector<Place>& left_;
  const std::vector<Place>& right_;
  std::vector<std::uint32_t> best_;
};

}  // namespace

Result<std::vector<PlacePair>> align(const std::vector<Place>& left, const std::vector<Place>& right) {
  if ((left.size() + 1) * (right.size() + 1) > kMaxCells)
    return fail(Code::limit_exceeded, "boots of " + std::to_string(left.size()) + " and " +
                                          std::to_string(right.size()) + " events in one PCR are too long to compare");
  return Aligner(left, right).align();
}

}  // namespace vmsec::boot
