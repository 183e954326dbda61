#include <algorithm>
#include <cstdlib>

#include "evidence/describe.hpp"

// Any log: each of its events has a description that is short and printable.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  auto reader = vmsec::boot::EventLogReader::open({reinterpret_cast<const char*>(data), size});
  if (!reader) return 0;
  vmsec::boot::Describer describer(reader->banks());
  const auto is_printable = [](const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  };
  while (true) {
    const auto event = reader->next();
    if (!event || !*event) break;
    const auto told = describer.describe(**event);
    if (told.text.empty() || told.text.size() > 300 || !is_printable(told.text)) std::abort();
    if (!std::ranges::all_of(told.remarks, is_printable)) std::abort();
  }
  if (describer.finish().size() > vmsec::boot::kFirmwarePcrCount + 1) std::abort();
  return 0;
}
