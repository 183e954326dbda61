// Which of many digests are known.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace vmsec::boot {

// Of a reference's digests, which it borrows. No digest here is a secret: the host that is judged has sent its own, and
// learns from the verdict which are known. So nothing is compared in constant time; but a host chooses how many events
// it sends, and none may cost a walk through the whole reference.
class DigestSet {
 public:
  explicit DigestSet(const std::vector<std::string>& digests) : digests_(digests) {}

  // A boot as the one that was learned measures in the list's order: what follows the last hit is tried first.
  bool contains(std::string_view digest) {
    if (next_ < digests_.size() && digests_[next_] == digest) {
      ++next_;
      return true;
    }
    if (sorted_.empty()) sort();
    const auto found =
        std::ranges::lower_bound(sorted_, digest, {}, [](const std::string* each) { return std::string_view(*each); });
    if (found == sorted_.end() || **found != digest) return false;
    next_ = static_cast<std::size_t>(*found - digests_.data()) + 1;
    return true;
  }

 private:
  void sort() {
    sorted_.reserve(digests_.size());
    for (const auto& each : digests_) sorted_.push_back(&each);
    std::ranges::sort(sorted_, {}, [](const std::string* each) { return std::string_view(*each); });
  }

  const std::vector<std::string>& digests_;
  std::size_t next_ = 0;
  std::vector<const std::string*> sorted_;  // once one was not where it was expected
};

}  // namespace vmsec::boot
