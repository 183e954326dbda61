// Any bytes as a module and as a plugin: refused, or whole with a manifest.
#include <cstdlib>

#include "loader/inspect.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const auto kind : {vmsec::ObjectKind::module, vmsec::ObjectKind::plugin}) {
    const auto found = vmsec::loader::inspect(bytes, kind, "x.so");
    if (!found && found.error().message.find("x.so") == std::string::npos) std::abort();
    if (!found || kind == vmsec::ObjectKind::plugin || !found->refusals.empty()) continue;
    if (found->manifest.name.empty() || found->abi_major != 1 ||
        bytes.find(found->manifest_text) == std::string_view::npos)
      std::abort();
  }
  return 0;
}
