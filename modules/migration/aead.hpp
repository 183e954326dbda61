// Who seals a record: one interface, OpenSSL's EVP and the accelerator behind it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "vmsec/result.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::migration {

inline constexpr std::size_t kTagSize = 16;
using AeadNonce = std::array<unsigned char, 12>;

enum class AeadUse { seal, open };

// This host's choice; nothing of it is on the wire.
enum class Accelerator { none, vaes };

// A cipher, and who computes it. What the accelerator has not (ChaCha20-Poly1305) is EVP's.
// Both are always said: nobody seals with EVP by leaving one out.
struct Suite {
  Suite(Cipher cipher_of, Accelerator by) : cipher(cipher_of), accelerator(by) {}
  Cipher cipher;
  Accelerator accelerator;
};

// One direction's cipher. Not thread-safe.
class Aead {
 public:
  virtual ~Aead() = default;
  [[nodiscard]] virtual std::size_t key_size() const = 0;
  virtual Status set_key(std::string_view key) = 0;
  // In place.
  virtual Status seal(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
                      std::span<unsigned char, kTagSize> tag) = 0;
  // In place. `tampered` when the tag does not verify: `text` is then all zeros.
  virtual Status open(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
                      std::span<const unsigned char, kTagSize> tag) = 0;
};

Result<std::unique_ptr<Aead>> make_aead(AeadUse use, Suite suite);

// An error that names why, when this machine cannot do what the accelerator needs.
Status check_accelerator(Accelerator accelerator);

// "AES-128-GCM by OpenSSL 3.0.17 EVP"
std::string implementation_of(Suite suite);
// `policy` and unknown numbers are not ciphers of a stream.
bool is_stream_cipher(Cipher cipher);

}  // namespace vmsec::migration
