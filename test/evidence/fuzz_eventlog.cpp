#include <cstdlib>

#include "evidence/replay.hpp"

// Any bytes: an error that names place and cause, or values of the right size.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto replayed = vmsec::boot::replay({reinterpret_cast<const char*>(data), size});
  if (!replayed) {
    if (!replayed.error().message.starts_with("event log, byte ")) std::abort();
    return 0;
  }
  for (const auto& bank : replayed->banks)
    for (const auto& value : bank.values)
      if (value.size() != vmsec::boot::digest_size(bank.hash)) std::abort();
  return 0;
}
