// Any bytes as a module's manifest: an error that names the module, or a name and a version.
#include <cstdlib>

#include "loader/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto manifest =
      vmsec::loader::parse_manifest(std::string_view(reinterpret_cast<const char*>(data), size), "x.so");
  if (manifest ? manifest->name.empty() || manifest->version.empty()
               : manifest.error().message.find("x.so") == std::string::npos)
    std::abort();
  return 0;
}
