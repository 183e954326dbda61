// Who gets how much of the host's CPUs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace vmsec::sim {

struct CpuShare {
  double weight = 0;
  double wanted = 0;  // CPUs: what the domain asks for, within its quota
  double given = 0;
};

// Shares out by weight; what one does not want goes to the others.
inline void share_out(double cpus, std::vector<CpuShare>& shares) {
  std::vector<CpuShare*> hungry;
  for (auto& share : shares) hungry.push_back(&share);
  while (!hungry.empty()) {
    double weights = 0;
    for (const auto* share : hungry) weights += share->weight;
    const double unit = std::max(0.0, cpus) / weights;
    const auto content = [&](const CpuShare* share) { return share->wanted <= share->weight * unit; };
    const auto rest = std::partition(hungry.begin(), hungry.end(), content);
    if (rest == hungry.begin()) {
      for (auto* share : hungry) share->given = share->weight * unit;
      return;
    }
    for (auto each = hungry.begin(); each != rest; ++each) {
      (*each)->given = (*each)->wanted;
      cpus -= (*each)->given;
    }
    hungry.erase(hungry.begin(), rest);
  }
}

}  // namespace vmsec::sim
