// Any bytes as a configuration file: an error with a place, or settings whose
// paths can all be taken apart again.
#include <cstdlib>

#include "vmsec/policy.hpp"
#include "vmsec/section.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto settings = parse_settings(std::string_view(reinterpret_cast<const char*>(data), size), "f");
  if (!settings) {
    if (!settings.error().message.starts_with("f:")) std::abort();
    return 0;
  }
  const Findings findings = read_section(*settings, [](const Setting&, const SettingPath&) -> Status { return {}; });
  if (!findings.findings.empty()) std::abort();
  return 0;
}
