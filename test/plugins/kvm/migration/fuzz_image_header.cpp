// Any bytes as the beginning of a disk image.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "image_header.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec::kvm;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto backing = parse_qcow2_header(bytes);
  if (!backing) return 0;
  // What is accepted is a qcow2 of which no more than a first cluster is read.
  if (size < 24 || bytes.substr(0, 4) != "QFI\xfb") std::abort();
  if (backing->size > kBackingNameLimit || backing->offset > (std::uint64_t{1} << 21)) std::abort();
  const bool external_data = bytes[7] == 3 && (bytes[79] & 4) != 0;
  if (external_data) std::abort();
  return 0;
}
