#include <cstdlib>

#include "evidence/reference.hpp"

// Any text: an error with its place, or a reference that says something of every PCR that it covers.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto reference = vmsec::boot::parse_reference({reinterpret_cast<const char*>(data), size}, "f");
  if (!reference) {
    if (!reference.error().message.starts_with("reference f:")) std::abort();
    return 0;
  }
  if (!reference->mask().valid()) std::abort();
  for (const auto& [pcr, entry] : reference->pcrs) {
    if (entry.values.empty() && entry.events.empty() && entry.sequence.empty()) std::abort();
    for (const auto& value : entry.values)
      if (value.size() != vmsec::boot::digest_size(reference->bank)) std::abort();
    for (const auto& step : entry.sequence)
      if (reference->parts.at(step.part).empty()) std::abort();
  }
  return 0;
}
