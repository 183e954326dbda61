// Two boots' measurements laid side by side.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::boot {

struct Place {
  std::string kind;                  // what it is: "kernel"; empty: unknown
  std::vector<std::string> digests;  // what it may be
};

// The same place in both, or in one only.
struct PlacePair {
  std::optional<std::size_t> left;
  std::optional<std::size_t> right;
};

// In order; as many as can be with a digest in common, then with the same kind.
// `limit_exceeded` where that would take too long.
Result<std::vector<PlacePair>> align(const std::vector<Place>& left, const std::vector<Place>& right);

}  // namespace vmsec::boot
