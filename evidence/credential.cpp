#include "credential.hpp"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include "bytes.hpp"
#include "digest.hpp"
#include "openssl_handles.hpp"
#include "secret.hpp"
#include "tpm_constants.hpp"

namespace vmsec::boot {
namespace {

constexpr std::string_view kIdentity("IDENTITY\0", 9);
constexpr std::string_view kStorage("STORAGE\0", 8);
constexpr std::string_view kIntegrity("INTEGRITY\0", 10);

// KDFa (part 1, 11.4.10.2), for at most one block of the hash.
Result<std::string> kdf_a(Hash hash, std::string_view key, std::string_view label, std::string_view context,
                          std::size_t bytes) {
  VMSEC_TRY(auto block,
            hmac(hash, key,
                 {big_endian(std::uint32_t{1}), label, context, big_endian(static_cast<std::uint32_t>(bytes * 8))}));
  block.resize(bytes);
  return block;
}

struct Seed {
  std::string seed;
  std::string encrypted;
};

Result<Seed> rsa_seed(const TpmPublic& endorsement_key) {
  VMSEC_TRY(const auto key, endorsement_key.key());
  const EVP_MD* hash = message_digest(endorsement_key.name_hash);
  VMSEC_TRY(auto seed, random_bytes(endorsement_key.name_digest.size()));
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  void* label = OPENSSL_memdup(kIdentity.data(), kIdentity.size());  // the context takes it
  if (!context || label == nullptr || EVP_PKEY_encrypt_init(context.get()) != 1 ||
      EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING) != 1 ||
      EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), hash) != 1 ||
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), hash) != 1 ||
      EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), label, static_cast<int>(kIdentity.size())) != 1) {
    OPENSSL_free(label);
    return fail(openssl_error("make a credential"));
  }
  std::string encrypted(endorsement_key.modulus.size(), '\0');
  std::size_t size = encrypted.size();
  if (EVP_PKEY_encrypt(context.get(), octets(encrypted), &size, octets(seed), seed.size()) != 1)
    return fail(openssl_error("make a credential"));
  encrypted.resize(size);
  return Seed{std::move(seed), std::move(encrypted)};
}

Result<std::string> coordinate(EVP_PKEY* key, const char* name, std::size_t bytes) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return fail(openssl_error("make a credential"));
  const BignumPtr owned(number);
  std::string out(bytes, '\0');
  if (BN_bn2binpad(number, octets(out), static_cast<int>(out.size())) != static_cast<int>(bytes))
    return fail(openssl_error("make a credential"));
  return out;
}

// A fresh key's agreement with the endorsement key, by KDFe (part 1, 11.4.10.3).
Result<Seed> ecc_seed(const TpmPublic& endorsement_key) {
  VMSEC_TRY(const auto peer, endorsement_key.key());
  const Curve& curve = *endorsement_key.curve;
  const PkeyPtr ephemeral(EVP_EC_gen(curve.name));
  if (!ephemeral) return fail(openssl_error("make a credential"));
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, ephemeral.get(), nullptr));
  std::string shared_bytes(curve.bytes, '\0');
  std::size_t size = shared_bytes.size();
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), peer.get()) != 1 ||
      EVP_PKEY_derive(context.get(), octets(shared_bytes), &size) != 1 || size != curve.bytes)
    return fail(openssl_error("make a credential"));
  const Secret shared(std::move(shared_bytes));
  VMSEC_TRY(const auto x, coordinate(ephemeral.get(), OSSL_PKEY_PARAM_EC_PUB_X, curve.bytes));
  VMSEC_TRY(const auto y, coordinate(ephemeral.get(), OSSL_PKEY_PARAM_EC_PUB_Y, curve.bytes));
  VMSEC_TRY(auto seed, digest(endorsement_key.name_hash,
                              {big_endian(std::uint32_t{1}), shared.bytes(), kIdentity, x, endorsement_key.x}));
  return Seed{std::move(seed), sized(x) + sized(y)};
}

Result<std::string> encrypt_cfb(std::string_view key, std::string_view plain) {
  const CipherContextPtr context(EVP_CIPHER_CTX_new());
  const std::string zero_iv(16, '\0');
  std::string out(plain.size(), '\0');
  int size = 0;
  const EVP_CIPHER* cipher = key.size() == 32 ? EVP_aes_256_cfb128() : EVP_aes_128_cfb128();
  if (!context || EVP_EncryptInit_ex(context.get(), cipher, nullptr, octets(key), octets(zero_iv)) != 1 ||
      EVP_EncryptUpdate(context.get(), octets(out), &size, octets(plain), static_cast<int>(plain.size())) != 1 ||
      size != static_cast<int>(plain.size()))
    return fail(openssl_error("make a credential"));
  return out;
}

}  // namespace

Result<Credential> make_credential(const TpmPublic& endorsement_key, std::string_view name, std::string_view secret) {
  if (secret.size() > kSha256Size) return fail(Code::invalid_argument, "make a credential: a secret beyond 32 bytes");
  if (endorsement_key.symmetric_bits != 128 && endorsement_key.symmetric_bits != 256)
    return fail(Code::invalid_argument, "make a credential: for a key of neither AES-128 nor AES-256");
  VMSEC_TRY(auto seeded, endorsement_key.type == KeyType::ecc ? ecc_seed(endorsement_key) : rsa_seed(endorsement_key));
  const Hash hash = endorsement_key.name_hash;
  const Secret seed(std::move(seeded.seed));
  VMSEC_TRY(auto cipher_key, kdf_a(hash, seed.bytes(), kStorage, name, endorsement_key.symmetric_bits / 8U));
  const Secret cipher(std::move(cipher_key));
  VMSEC_TRY(const auto encrypted, encrypt_cfb(cipher.bytes(), Secret(sized(secret)).bytes()));
  VMSEC_TRY(auto mac_key, kdf_a(hash, seed.bytes(), kIntegrity, {}, endorsement_key.name_digest.size()));
  const Secret mac(std::move(mac_key));
  VMSEC_TRY(const auto integrity, hmac(hash, mac.bytes(), {encrypted, name}));
  return Credential{sized(integrity) + encrypted, std::move(seeded.encrypted)};
}

Result<std::string> activation_proof(std::string_view secret, std::string_view binding,
                                     std::string_view host_certificate, std::string_view key_name) {
  VMSEC_TRY(const auto what, sha256_of_list({"vmsec enrol v1", binding, host_certificate, key_name}));
  return hmac_sha256(secret, {what});
}

}  // namespace vmsec::boot
