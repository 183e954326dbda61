// Any text as the kernel's io.max: an error, or limits that are written and read the same.
#include <cstdint>
#include <cstdlib>

#include "io_max.hpp"

using namespace vmsec;
using namespace vmsec::xen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto limit = parse_io_max(text, "7:0");
  if (!limit) return 0;
  const auto again = parse_io_max(format_io_max("7:0", *limit), "7:0");
  if (!again || format_io_max("7:0", *again) != format_io_max("7:0", *limit)) std::abort();
  return 0;
}
