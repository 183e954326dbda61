#include <cstdlib>

#include "evidence/ima.hpp"

// Any bytes: an error that names place and cause, or values of the right size and entries within the bytes.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using vmsec::boot::Hash;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const auto bank : {Hash::sha1, Hash::sha256}) {
    const auto read = vmsec::boot::read_ima(bytes, bank);
    if (!read) {
      if (!read.error().message.starts_with("IMA list, byte ")) std::abort();
      continue;
    }
    if (read->pcr.size() != vmsec::boot::digest_size(bank) || read->pcr_padded.size() != read->pcr.size()) std::abort();
    for (const auto& entry : read->entries)
      if (entry.path.empty() || entry.digest.size() != vmsec::boot::digest_size(entry.hash)) std::abort();
  }
  return 0;
}
