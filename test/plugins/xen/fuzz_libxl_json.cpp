// Any bytes as a domain's configuration: an error, or a definition; one of which nothing is lost is said again as it
// is.
#include <cstdint>
#include <cstdlib>

#include "libxl_json.hpp"
#include "vmsec/definition.hpp"

using namespace vmsec;
using namespace vmsec::xen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto exported = from_libxl_json({reinterpret_cast<const char*>(data), size});
  if (!exported) {
    if (exported.error().message.empty()) std::abort();
    return 0;
  }
  if (find_flaw(exported->definition)) std::abort();
  for (const Loss& loss : exported->losses)
    if (loss.place.empty() || loss.reason.empty()) std::abort();
  const Translation native = to_libxl_json(exported->definition);
  const auto again = from_libxl_json(native.text);
  if (!again || !again->losses.empty()) std::abort();
  if (native.losses.empty() && again->definition != exported->definition) std::abort();
  return 0;
}
