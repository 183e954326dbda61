// What a disk image's own header makes QEMU open.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vmsec/fd.hpp"
#include "vmsec/result.hpp"

namespace vmsec::kvm {

// All that is read of an image's beginning.
inline constexpr std::size_t kImageHeaderSize = 104;
inline constexpr std::size_t kBackingNameLimit = 1023;  // QEMU's

// Where in the image the name of its backing file stands; size 0: it has none.
struct BackingName {
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
};

// Of a qcow2 image's first kImageHeaderSize bytes, or of all where it is shorter.
// `denied` for what is no qcow2, for an external data file, and for features that
// are not known here.
Result<BackingName> parse_qcow2_header(std::string_view bytes);

// The name of the backing file in a qcow2 image, empty where it has none.
Result<std::string> qcow2_backing(const Fd& image);

}  // namespace vmsec::kvm
