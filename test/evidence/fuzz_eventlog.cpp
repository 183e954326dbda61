#include <cstdlib>

#include "evidence/replay.hpp"

// Any bytes: an error that names place and cause, or values of the right size.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using vmsec::boot::Hash;
  for (const auto bank : {Hash::sha1, Hash::sha256, Hash::sha384}) {
    const auto replayed = vmsec::boot::replay({reinterpret_cast<const char*>(data), size}, bank);
    if (!replayed && !replayed.error().message.starts_with("event log, byte ") &&
        !replayed.error().message.starts_with("the event log has no "))
      std::abort();
    if (!replayed) continue;
    for (const auto& value : replayed->values)
      if (value.size() != vmsec::boot::digest_size(bank)) std::abort();
  }
  return 0;
}
