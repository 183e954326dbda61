// Any bytes as a definition's file: errors with their place, or a definition that reads back the same.
#include <cstdlib>

#include "vmsec/definition.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto read = parse_definition(std::string_view(reinterpret_cast<const char*>(data), size), "f");
  if (!read) {
    if (!read.error().message.starts_with("f:")) std::abort();
    return 0;
  }
  auto whole = *read;
  if (whole.domain.is_nil()) whole.domain = *Uuid::parse("00000000-0000-4000-8000-000000000001");
  if (find_flaw(whole)) std::abort();
  const auto again = parse_definition(write_definition(*read), "f");
  if (!again || *again != *read) std::abort();
  return 0;
}
