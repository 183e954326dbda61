// The ciphers as OpenSSL's EVP does them.
#pragma once

#include "aead.hpp"
#include "openssl.hpp"

namespace vmsec::migration {

class EvpAead final : public Aead {
 public:
  // algorithm: OpenSSL's name of an AEAD with nonces of 12 bytes and tags of 16.
  static Result<std::unique_ptr<EvpAead>> create(AeadUse use, const char* algorithm);

  [[nodiscard]] std::size_t key_size() const override;
  Status set_key(std::string_view key) override;
  Status seal(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
              std::span<unsigned char, kTagSize> tag) override;
  Status open(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
              std::span<const unsigned char, kTagSize> tag) override;

 private:
  explicit EvpAead(AeadUse use) : direction_(use == AeadUse::seal ? 1 : 0) {}
  Status run(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text);

  int direction_;
  CipherHandle algorithm_;
  CipherContext context_;
};

}  // namespace vmsec::migration
