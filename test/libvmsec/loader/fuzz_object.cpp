// Any bytes as the beginning of a shared object, of their own length and of a longer one.
#include <cstdlib>

#include "vmsec/object.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view head(reinterpret_cast<const char*>(data), size);
  const bool whole = vmsec::check_object_head(head, size).has_value();
  // What is whole stays so when more follows; an empty file never is.
  if (whole && (size == 0 || !vmsec::check_object_head(head, size + (1 << 20)))) std::abort();
  return 0;
}
