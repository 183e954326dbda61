#include "guest_seal.hpp"

#include <algorithm>

#include "bytes.hpp"
#include "digest.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kX25519Bytes = 32;
constexpr std::size_t kTagBytes = 16;
constexpr std::size_t kMaxName = 64;
const std::string kZeroIv(12, '\0');  // the key is used once

}  // namespace

Result<std::string> guest_enrol_proof(std::string_view secret, const Uuid& domain, std::string_view nonce,
                                      std::string_view key_name) {
  VMSEC_TRY(const auto what, sha256_of_list({"vmsec guest enrol v1", domain.text(), nonce, key_name}));
  return hmac_sha256(secret, {what});
}

Result<std::string> guest_qualifying_data(const Uuid& domain, std::string_view nonce, std::string_view exchange_key) {
  return sha256_of_list({"vmsec guest quote v1", domain.text(), nonce, exchange_key});
}

Result<ExchangeKey> ExchangeKey::make() {
  PkeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  if (!key) return fail(openssl_error("make an exchange key"));
  std::string public_key(kX25519Bytes, '\0');
  std::size_t size = public_key.size();
  if (EVP_PKEY_get_raw_public_key(key.get(), octets(public_key), &size) != 1 || size != kX25519Bytes)
    return fail(openssl_error("make an exchange key"));
  return ExchangeKey(std::move(key), std::move(public_key));
}

Result<std::string> ExchangeKey::agree(std::string_view other) const {
  const PkeyPtr peer(EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, octets(other), other.size()));
  if (!peer) return fail(openssl_error("read an exchange key", Code::invalid_argument));
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  std::string agreed(kX25519Bytes, '\0');
  std::size_t size = agreed.size();
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), octets(agreed), &size) != 1 || size != kX25519Bytes)
    return fail(openssl_error("agree on a key", Code::invalid_argument));
  return agreed;
}

Result<Seal> Seal::make(std::string_view credential_secret, std::string_view agreement, const SealTerms& terms) {
  VMSEC_TRY(const auto what, sha256_of_list({"vmsec guest secret v1", agreement, terms.host_key, terms.guest_key,
                                             terms.domain.text(), terms.nonce, terms.name}));
  VMSEC_TRY(auto key, hmac_sha256(credential_secret, {what}));
  return Seal(std::move(key));
}

Result<std::string> Seal::close(std::string_view secret) const {
  const CipherContextPtr context(EVP_CIPHER_CTX_new());
  std::string out(secret.size() + kTagBytes, '\0');
  int size = 0;
  int rest = 0;
  if (!context ||
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, octets(key_->bytes()), octets(kZeroIv)) != 1 ||
      EVP_EncryptUpdate(context.get(), octets(out), &size, octets(secret), static_cast<int>(secret.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), octets(out) + size, &rest) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, octets(out) + secret.size()) != 1)
    return fail(openssl_error("seal a secret"));
  return out;
}

Result<std::string> Seal::open(std::string_view sealed) const {
  const auto damaged = [] { return fail(openssl_error("open a sealed secret", Code::tampered)); };
  if (sealed.size() <= kTagBytes) return damaged();
  const std::string_view bytes = sealed.substr(0, sealed.size() - kTagBytes);
  std::string tag(sealed.substr(bytes.size()));
  const CipherContextPtr context(EVP_CIPHER_CTX_new());
  std::string out(bytes.size(), '\0');
  int size = 0;
  int rest = 0;
  if (!context ||
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, octets(key_->bytes()), octets(kZeroIv)) != 1 ||
      EVP_DecryptUpdate(context.get(), octets(out), &size, octets(bytes), static_cast<int>(bytes.size())) != 1 ||
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) != 1 ||
      EVP_DecryptFinal_ex(context.get(), octets(out) + size, &rest) != 1) {
    OPENSSL_cleanse(out.data(), out.size());
    return damaged();
  }
  return out;
}

Result<std::string> Seal::taken() const { return hmac_sha256(key_->bytes(), {"vmsec guest secret taken v1"}); }

Status check_secret_name(std::string_view name) {
  const bool fits =
      !name.empty() && name.size() <= kMaxName && name.front() != '.' && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_';
      });
  if (fits) return {};
  return fail(Code::invalid_argument,
              "secret name \"" + printable(name, kMaxName) + "\": want 1 to 64 of a-z A-Z 0-9 . _ -, and no dot first");
}

}  // namespace vmsec::boot
