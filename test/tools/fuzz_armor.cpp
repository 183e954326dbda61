// Tickets come from files that anybody may have written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "armor.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto ticket = vmsec::cli::dearmor({reinterpret_cast<const char*>(data), size});
  if (ticket && vmsec::cli::dearmor(vmsec::cli::armor(*ticket)) != *ticket) std::abort();
  return 0;
}
