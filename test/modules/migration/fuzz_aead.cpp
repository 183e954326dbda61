// The accelerator's AES-GCM beside OpenSSL's: whatever the lengths, addresses and bytes,
// both seal the same, and both open or refuse the same.
//
// Input: key size and kernel, offset, associated length, change's place and bits (2 + 1
// bytes), text length (3 bytes), then bytes from which key, nonce and text are made.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "accelerator/aes_gcm.hpp"
#include "evp_aead.hpp"

using namespace vmsec;
using namespace vmsec::migration;

namespace {

using Buffer = std::vector<unsigned char>;

// Behind the input's end come zeros.
class Input {
 public:
  Input(const unsigned char* data, std::size_t size) : bytes_(data, size) {}
  unsigned number(int bytes) {
    unsigned out = 0;
    for (; bytes > 0; --bytes) out = out << 8 | next();
    return out;
  }
  // The rest, over and over.
  Buffer fill(std::size_t size) {
    Buffer out(size);
    for (std::size_t i = 0; i < size && !bytes_.empty(); ++i)
      out[i] = static_cast<unsigned char>(bytes_[i % bytes_.size()] + i / bytes_.size());
    return out;
  }
  Buffer take(std::size_t size) {
    Buffer out(size);
    for (unsigned char& byte : out) byte = next();
    return out;
  }

 private:
  unsigned char next() {
    if (bytes_.empty()) return 0;
    const unsigned char byte = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return byte;
  }
  std::span<const unsigned char> bytes_;
};

struct Message {
  AeadNonce nonce{};
  Buffer associated, text;
  std::array<unsigned char, kTagSize> tag{};
};

void must(bool holds) {
  if (!holds) std::abort();
}

std::unique_ptr<EvpAead> evp(AeadUse use, const Buffer& key) {
  auto made = EvpAead::create(use, key.size() == 16 ? "AES-128-GCM" : "AES-256-GCM");
  must(made && (*made)->set_key({reinterpret_cast<const char*>(key.data()), key.size()}));
  return std::move(*made);
}

// At a distance from where the allocator put it.
struct Placed {
  Buffer room;
  std::span<unsigned char> bytes;
  Placed(const Buffer& from, std::size_t offset) : room(from.size() + offset) {
    bytes = std::span(room).subspan(offset);
    std::copy(from.begin(), from.end(), bytes.begin());
  }
};

Message sealed_by_both(const AesGcm& gcm, const Buffer& key, const Message& plain, std::size_t offset) {
  Message wanted = plain;
  must(evp(AeadUse::seal, key)->seal(wanted.nonce, wanted.associated, wanted.text, wanted.tag).has_value());
  Placed text(plain.text, offset);
  Buffer out(plain.text.size());
  std::array<unsigned char, kTagSize> tag{};
  must(gcm.seal(plain.nonce, plain.associated, text.bytes, out, tag).has_value());
  must(out == wanted.text && tag == wanted.tag);
  must(gcm.seal(plain.nonce, plain.associated, text.bytes, text.bytes, tag).has_value());
  must(std::equal(out.begin(), out.end(), text.bytes.begin()) && tag == wanted.tag);
  return wanted;
}

void open_by_both(const AesGcm& gcm, const Buffer& key, const Message& sealed, std::size_t offset) {
  Buffer wanted = sealed.text;
  const bool opens = evp(AeadUse::open, key)->open(sealed.nonce, sealed.associated, wanted, sealed.tag).has_value();
  Placed text(sealed.text, offset);
  Buffer out(sealed.text.size(), 'x');
  must(gcm.open(sealed.nonce, sealed.associated, text.bytes, out, sealed.tag).has_value() == opens);
  must(out == wanted);
  must(gcm.open(sealed.nonce, sealed.associated, text.bytes, text.bytes, sealed.tag).has_value() == opens);
  must(std::equal(wanted.begin(), wanted.end(), text.bytes.begin()));
}

void change(Message& message, std::size_t place, unsigned char bits) {
  place %= message.text.size() + message.associated.size() + kTagSize;
  if (place < kTagSize) {
    message.tag[place] ^= bits;
  } else if (place -= kTagSize; place < message.associated.size()) {
    message.associated[place] ^= bits;
  } else {
    message.text[place - message.associated.size()] ^= bits;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Input input(data, size);
  const unsigned choice = input.number(1);
  const std::size_t offset = input.number(1) % 65, associated = input.number(1) * 3, place = input.number(2);
  const auto bits = static_cast<unsigned char>(input.number(1));
  const std::size_t length = input.number(3) % 66000;
  const auto kernels = gcm_kernels();
  if (kernels.empty()) return 0;
  const GcmKernel& kernel = *kernels[(choice >> 1) % kernels.size()];
  if (!kernel.missing(cpu_features()).empty()) return 0;
  const Buffer key = input.take((choice & 1) != 0 ? 32 : 16);
  Message plain;
  const Buffer nonce = input.take(plain.nonce.size());
  std::copy(nonce.begin(), nonce.end(), plain.nonce.begin());
  plain.associated = input.fill(associated);
  plain.text = input.fill(length);
  const auto gcm = AesGcm::create(kernel, key);
  must(gcm.has_value());
  Message message = sealed_by_both(*gcm, key, plain, offset);
  change(message, place, bits);
  open_by_both(*gcm, key, message, offset);
  return 0;
}
