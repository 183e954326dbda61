// Any bytes as the XML of a domain that is exported.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "definitions.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec;
  using namespace vmsec::kvm;
  const std::string xml(reinterpret_cast<const char*>(data), size);
  const auto out = from_libvirt_xml(xml, test::kHost);
  if (!out) {
    if (out.error().message.empty()) std::abort();
    return 0;
  }
  for (const auto& loss : out->losses)
    if (loss.place.empty() || loss.reason.empty()) std::abort();
  if (out->losses.size() > kMaximumLosses) std::abort();
  if (!out->losses.empty()) return 0;
  // Without losses it is a definition, and says the same after another turn.
  if (find_flaw(out->definition)) std::abort();
  const Translation translation = to_libvirt_xml(out->definition, test::kHost);
  if (!translation.losses.empty()) return 0;
  const auto back = from_libvirt_xml(translation.text, test::kHost);
  if (!back || back->definition != out->definition) std::abort();
  return 0;
}
