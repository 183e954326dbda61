#include "key_schedule.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <algorithm>

#include "openssl.hpp"

namespace vmsec::migration {
namespace {

using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;

constexpr std::string_view kJoinLabel = "vmsec migration join v1";
constexpr std::string_view kStreamLabel = "vmsec migration stream v1";
constexpr std::string_view kKeyLabel = "vmsec migration record key v1";
constexpr std::string_view kNonceLabel = "vmsec migration record nonce v1";
constexpr std::string_view kNextLabel = "vmsec migration next epoch v1";
constexpr std::string_view kPskLabel = "vmsec migration tls psk v1";
constexpr std::string_view kPskIdentityLabel = "vmsec migration tls psk identity v1";
constexpr std::size_t kPskIdentitySize = 16;

// Each part with its length before it, so that no two lists of parts read the same.
void append(std::string& out, std::string_view part) {
  const auto size = static_cast<std::uint32_t>(part.size());
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(size >> shift);
  out += part;
}

void append(std::string& out, std::uint32_t number) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(number >> shift);
  append(out, bytes);
}

void append(std::string& out, const StreamName& name) {
  append(out, std::string_view(reinterpret_cast<const char*>(name.migration.bytes().data()), 16));
  append(out, static_cast<std::uint32_t>(name.kind));
  append(out, name.index);
  append(out, name.ordinal);
  append(out, name.source_nonce);
  append(out, static_cast<std::uint32_t>(name.suite));
}

// mode: EVP_KDF_HKDF_MODE_*. The salt is used by the extracting modes only.
Result<std::string> hkdf(int mode, std::string_view secret, std::string_view salt, std::string_view info,
                         std::size_t size) {
  const auto number = [](std::string_view text) { return static_cast<int>(text.size()); };
  KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr));
  std::string out(size, '\0');
  if (!context || EVP_PKEY_derive_init(context.get()) <= 0 || EVP_PKEY_CTX_set_hkdf_mode(context.get(), mode) <= 0 ||
      EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) <= 0 ||
      (!salt.empty() && EVP_PKEY_CTX_set1_hkdf_salt(context.get(), bytes_of(salt), number(salt)) <= 0) ||
      EVP_PKEY_CTX_set1_hkdf_key(context.get(), bytes_of(secret), number(secret)) <= 0 ||
      EVP_PKEY_CTX_add1_hkdf_info(context.get(), bytes_of(info), number(info)) <= 0 ||
      EVP_PKEY_derive(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size) <= 0)
    return fail(openssl_error("derive a migration key"));
  return out;
}

Result<std::string> expand(std::string_view secret, std::string_view label, std::size_t size) {
  return hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, secret, {}, label, size);
}

}  // namespace

Result<std::string> random_bytes(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1)
    return fail(openssl_error("draw random bytes"));
  return out;
}

Result<Uuid> random_uuid() {
  VMSEC_TRY(const std::string bytes, random_bytes(16));
  std::array<std::uint8_t, 16> raw{};
  std::copy(bytes.begin(), bytes.end(), raw.begin());
  raw[6] = static_cast<std::uint8_t>((raw[6] & 0x0f) | 0x40);  // RFC 4122: version 4, variant 1
  raw[8] = static_cast<std::uint8_t>((raw[8] & 0x3f) | 0x80);
  return Uuid(raw);
}

Result<std::string> sha256(std::string_view bytes) {
  std::string out(kDigestSize, '\0');
  if (EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr, EVP_sha256(),
                 nullptr) != 1)
    return fail(openssl_error("compute SHA-256"));
  return out;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

std::string to_string(const StreamName& name) {
  static constexpr std::string_view kKinds[] = {"unknown", "control", "main", "bulk", "disk", "urgent"};
  const auto kind = std::min<std::size_t>(static_cast<std::uint32_t>(name.kind), std::size(kKinds));
  return std::string(kind < std::size(kKinds) ? kKinds[kind] : "unknown") + "/" + std::to_string(name.index);
}

Result<std::string> join_proof(std::string_view migration_secret, const StreamName& name) {
  std::string message;
  append(message, kJoinLabel);
  append(message, name);
  std::string out(kProofSize, '\0');
  unsigned int size = 0;
  if (HMAC(EVP_sha256(), migration_secret.data(), static_cast<int>(migration_secret.size()), bytes_of(message),
           message.size(), reinterpret_cast<unsigned char*>(out.data()), &size) == nullptr ||
      size != kProofSize)
    return fail(openssl_error("compute a stream's proof"));
  return out;
}

Result<std::string> stream_secret(std::string_view migration_secret, std::string_view exporter_secret,
                                  const StreamName& name, std::string_view destination_nonce, Direction direction,
                                  Cipher cipher) {
  std::string info;
  append(info, kStreamLabel);
  append(info, name);
  append(info, destination_nonce);
  append(info, static_cast<std::uint32_t>(direction));
  append(info, static_cast<std::uint32_t>(cipher));
  return hkdf(EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, exporter_secret, migration_secret, info, kSecretSize);
}

Result<TlsPsk> tls_psk(std::string_view to_destination, std::string_view to_source) {
  std::string both;
  both.reserve(to_destination.size() + to_source.size() + 2 * sizeof(std::uint32_t));  // one copy to wipe
  append(both, to_destination);
  append(both, to_source);
  const auto derive = [&](std::string_view label, std::size_t size) {
    return hkdf(EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND, both, {}, label, size);
  };
  auto identity = derive(kPskIdentityLabel, kPskIdentitySize);
  auto key = derive(kPskLabel, kSecretSize);
  wipe(both);
  if (!identity) return fail(identity.error());
  if (!key) return fail(key.error());
  return TlsPsk{std::move(*identity), std::move(*key)};
}

Result<EpochKeys> epoch_keys(std::string_view secret, std::size_t key_size) {
  EpochKeys keys;
  VMSEC_TRY(keys.key, expand(secret, kKeyLabel, key_size));
  VMSEC_TRY(std::string nonce, expand(secret, kNonceLabel, keys.nonce.size()));
  std::copy(nonce.begin(), nonce.end(), keys.nonce.begin());
  VMSEC_TRY(keys.next_secret, expand(secret, kNextLabel, kSecretSize));
  return keys;
}

}  // namespace vmsec::migration
