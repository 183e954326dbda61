// Bytes of a hostile wire: a header that is read, a record that must not open,
// and a good record with some of its bytes changed.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "record.hpp"

using namespace vmsec;
using namespace vmsec::migration;

namespace {

const std::string kSecret(32, 'k');

RecordCodec codec(RecordCodec::Use use, Cipher cipher) {
  auto made = RecordCodec::create(use, {cipher, Accelerator::none}, kSecret);
  if (!made) std::abort();
  return std::move(*made);
}

void open_raw(std::vector<unsigned char> bytes, Cipher cipher) {
  if (bytes.size() < kHeaderSize) return;
  const auto header = read_header(std::span<const unsigned char>(bytes).first<kHeaderSize>());
  if (!header) return;
  auto opener = codec(RecordCodec::Use::open, cipher);
  const std::size_t size = kHeaderSize + header->length + kTagSize;
  if (bytes.size() > size) bytes.resize(size);
  std::ignore = opener.open(*header, bytes);
}

void open_changed(std::span<const unsigned char> changes, Cipher cipher) {
  auto sealer = codec(RecordCodec::Use::seal, cipher);
  std::vector<unsigned char> record(kHeaderSize + 24 + kTagSize, 'g');
  if (!sealer.seal(RecordType::data, record)) std::abort();
  const std::vector<unsigned char> good = record;
  for (std::size_t i = 0; i + 1 < changes.size(); i += 2) record[changes[i] % record.size()] ^= changes[i + 1];
  const auto header = read_header(std::span<const unsigned char>(record).first<kHeaderSize>());
  if (!header) return;
  auto opener = codec(RecordCodec::Use::open, cipher);
  const bool same = record == good;
  if (opener.open(*header, record).has_value() != same) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  static constexpr Cipher kCiphers[] = {Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305,
                                        Cipher::none};
  const Cipher cipher = kCiphers[(data[0] >> 1) % 4];
  if ((data[0] & 1) != 0)
    open_changed({data + 1, size - 1}, cipher);
  else
    open_raw({data + 1, data + size}, cipher);
  return 0;
}
