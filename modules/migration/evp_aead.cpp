#include "evp_aead.hpp"

#include <openssl/crypto.h>

#include <algorithm>

namespace vmsec::migration {

Result<std::unique_ptr<EvpAead>> EvpAead::create(AeadUse use, const char* algorithm) {
  std::unique_ptr<EvpAead> aead(new EvpAead(use));
  aead->algorithm_.reset(EVP_CIPHER_fetch(nullptr, algorithm, nullptr));
  aead->context_.reset(EVP_CIPHER_CTX_new());
  if (!aead->algorithm_ || !aead->context_) return fail(openssl_error("fetch " + std::string(algorithm)));
  return aead;
}

std::size_t EvpAead::key_size() const { return static_cast<std::size_t>(EVP_CIPHER_get_key_length(algorithm_.get())); }

Status EvpAead::set_key(std::string_view key) {
  if (key.size() != key_size() ||
      EVP_CipherInit_ex2(context_.get(), algorithm_.get(), bytes_of(key), nullptr, direction_, nullptr) != 1)
    return fail(openssl_error("set a record key"));
  return {};
}

Status EvpAead::run(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text) {
  auto* context = context_.get();
  int count = 0;
  if (EVP_CipherInit_ex2(context, nullptr, nullptr, nonce.data(), direction_, nullptr) != 1)
    return fail(openssl_error("begin a record"));
  if (!associated.empty() &&
      EVP_CipherUpdate(context, nullptr, &count, associated.data(), static_cast<int>(associated.size())) != 1)
    return fail(openssl_error("authenticate a record"));
  if (!text.empty() && EVP_CipherUpdate(context, text.data(), &count, text.data(), static_cast<int>(text.size())) != 1)
    return fail(openssl_error("transform a record"));
  return {};
}

Status EvpAead::seal(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
                     std::span<unsigned char, kTagSize> tag) {
  VMSEC_CHECK(run(nonce, associated, text));
  int count = 0;
  unsigned char none[kTagSize];
  if (EVP_CipherFinal_ex(context_.get(), none, &count) != 1 ||
      EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()) != 1)
    return fail(openssl_error("finish a record"));
  return {};
}

Status EvpAead::open(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
                     std::span<const unsigned char, kTagSize> tag) {
  if (Status transformed = run(nonce, associated, text); !transformed) {
    OPENSSL_cleanse(text.data(), text.size());
    return transformed;
  }
  std::array<unsigned char, kTagSize> wanted;
  std::copy(tag.begin(), tag.end(), wanted.begin());
  int count = 0;
  unsigned char none[kTagSize];
  if (EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, kTagSize, wanted.data()) == 1 &&
      EVP_CipherFinal_ex(context_.get(), none, &count) == 1)
    return {};
  ERR_clear_error();
  OPENSSL_cleanse(text.data(), text.size());
  return fail(Code::tampered, "the tag does not verify");
}

}  // namespace vmsec::migration
