// Disks that move with their domain: which ones, and as what.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmsec/capability/migration.hpp"

namespace vmsec::kvm {

// Each disk that has a medium, in the XML's order, and why it stays where it does. A
// writable disk of a file that both hosts do not share anyway is copied. The capacity is
// not told here.
Result<std::vector<DescribedDisk>> disks_to_copy(std::string_view xml, const std::vector<std::string>& shared_roots);

// A disk that is copied, as the XML has it.
struct CopiedDisk {
  std::string target;
  std::string path;
  std::string format;  // raw or qcow2
  Bytes capacity;
};

// Of what a description says is copied. `invalid_argument` for a disk that the XML does not
// have, or not as one that may be written; `unsupported` for one that is no single file.
Result<std::vector<CopiedDisk>> copied_disks(std::string_view xml, const std::vector<DescribedDisk>& described);

}  // namespace vmsec::kvm
