// Any bytes as a domain file to export: an error, or a definition without a flaw that comes back by this translation.
#include <cstdlib>

#include "definition.hpp"
#include "vmsec/definition.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto out = sim::from_sim(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!out) {
    if (out.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& loss : out->losses)
    if (loss.place.empty() || loss.reason.empty()) std::abort();
  if (find_flaw(out->definition)) std::abort();
  const auto there = sim::to_sim(out->definition);
  const auto back = sim::from_sim(there.text);
  if (!there.losses.empty() || !back || !back->losses.empty() || back->definition != out->definition) std::abort();
  return 0;
}
