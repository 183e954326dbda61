// Tickets come from files that anybody may have written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "vmsec/ticket.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto ticket = vmsec::parse_ticket_text({reinterpret_cast<const char*>(data), size});
  if (ticket && vmsec::parse_ticket_text(vmsec::ticket_text(*ticket)) != *ticket) std::abort();
  return 0;
}
