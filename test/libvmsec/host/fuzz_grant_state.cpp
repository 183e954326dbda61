// Any bytes as the file of withdrawals and choices: refused, or exactly what is written for it.
#include <cstdlib>

#include "host/grant_state.hpp"

using namespace vmsec;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto whole = host::parse_grant_state(bytes); whole && host::format_grant_state(*whole) != bytes)
    std::abort();
  const auto state = host::decode_grant_state(bytes);
  if (!state) {
    if (state.error().code != Code::tampered) std::abort();
    return 0;
  }
  if (wire::encode(*state) != bytes) std::abort();
  for (const Withdrawal& each : state->withdrawals)
    if (!host::check_withdrawal(each)) std::abort();
  return 0;
}
