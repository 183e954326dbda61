// For SHA256_Init() and its kind: see Digester.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "digest.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <memory>

#include "bytes.hpp"

namespace vmsec::boot {
namespace {

struct HashEntry {
  Hash hash;
  std::string_view name;
  std::size_t size;
  const EVP_MD* (*md)();
};

constexpr std::array<HashEntry, 8> kHashes{{
    {Hash::sha1, "sha1", 20, EVP_sha1},
    {Hash::sha256, "sha256", 32, EVP_sha256},
    {Hash::sha384, "sha384", 48, EVP_sha384},
    {Hash::sha512, "sha512", 64, EVP_sha512},
    {Hash::sm3_256, "sm3_256", 32, EVP_sm3},
    {Hash::sha3_256, "sha3_256", 32, EVP_sha3_256},
    {Hash::sha3_384, "sha3_384", 48, EVP_sha3_384},
    {Hash::sha3_512, "sha3_512", 64, EVP_sha3_512},
}};

const HashEntry* find(Hash hash) {
  for (const auto& entry : kHashes)
    if (entry.hash == hash) return &entry;
  return nullptr;
}

// OpenSSL would look the algorithm up by its name for each digest. Kept for good: other threads may compute digests
// until the process ends.
const EVP_MD* fetched(const HashEntry& entry) {
  static const auto all = [] {
    std::array<const EVP_MD*, kHashes.size()> out{};
    std::ranges::transform(kHashes, out.begin(), [](const HashEntry& each) {
      return EVP_MD_fetch(nullptr, EVP_MD_get0_name(each.md()), nullptr);
    });
    ERR_clear_error();
    return out;
  }();
  const auto* md = all[static_cast<std::size_t>(&entry - kHashes.data())];
  return md != nullptr ? md : entry.md();  // whose use says what is wrong
}

struct MacFree {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
};
struct MacContextFree {
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

// An event log is a thousand digests of 64 bytes each. By EVP most of the time goes into what is around them (230 ns
// each, 130 by these older functions of the same library).
Status sha256_into(std::initializer_list<std::string_view> parts, std::string& out) {
  SHA256_CTX context;
  std::array<unsigned char, kSha256Size> bytes{};
  bool good = SHA256_Init(&context) == 1;
  for (const auto part : parts) good = good && SHA256_Update(&context, part.data(), part.size()) == 1;
  if (!good || SHA256_Final(bytes.data(), &context) != 1) return fail(openssl_error("compute a digest"));
  out.assign(bytes.begin(), bytes.end());
  return {};
}

const unsigned char* data(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

}  // namespace

Error openssl_error(std::string_view operation, Code code) {
  const unsigned long number = ERR_get_error();
  std::array<char, 256> text{};
  ERR_error_string_n(number, text.data(), text.size());
  ERR_clear_error();
  std::string message(operation);
  if (number != 0) message += std::string(": ") + text.data();
  return Error{code, std::move(message), static_cast<std::int64_t>(number), "openssl"};
}

std::string to_string(Hash hash) {
  if (const auto* entry = find(hash)) return std::string(entry->name);
  return "algorithm 0x" + to_hex(big_endian(static_cast<std::uint16_t>(hash)));
}

const evp_md_st* message_digest(Hash hash) {
  const auto* entry = find(hash);
  return entry == nullptr ? nullptr : fetched(*entry);
}

std::optional<std::size_t> digest_size(Hash hash) {
  const auto* entry = find(hash);
  if (entry == nullptr) return std::nullopt;
  return entry->size;
}

void Digester::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digester::Digester(const evp_md_st* md) : md_(md), context_(md == nullptr ? nullptr : EVP_MD_CTX_new()) {}

Result<Digester> Digester::create(Hash hash) {
  const auto* entry = find(hash);
  if (entry == nullptr) return fail(Code::unsupported, "compute a digest: no " + to_string(hash) + " here");
  if (hash == Hash::sha256) return Digester(nullptr);
  Digester digester(fetched(*entry));
  if (!digester.context_ || EVP_DigestInit_ex(digester.context_.get(), digester.md_, nullptr) != 1)
    return fail(openssl_error("compute a digest by " + to_string(hash), Code::unsupported));
  return digester;
}

Status Digester::digest(std::initializer_list<std::string_view> parts, std::string& out) {
  if (md_ == nullptr) return sha256_into(parts, out);
  if (EVP_DigestInit_ex(context_.get(), md_, nullptr) != 1) return fail(openssl_error("compute a digest"));
  for (const auto part : parts)
    if (EVP_DigestUpdate(context_.get(), part.data(), part.size()) != 1) return fail(openssl_error("compute a digest"));
  out.resize(static_cast<std::size_t>(EVP_MD_get_size(md_)));
  if (EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1)
    return fail(openssl_error("compute a digest"));
  return {};
}

Result<std::string> digest(Hash hash, std::initializer_list<std::string_view> parts) {
  VMSEC_TRY(auto digester, Digester::create(hash));
  std::string out;
  VMSEC_CHECK(digester.digest(parts, out));
  return out;
}

Result<std::string> sha256(std::initializer_list<std::string_view> parts) { return digest(Hash::sha256, parts); }

Result<std::string> sha256_of_list(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const auto part : parts) {
    all += big_endian(static_cast<std::uint32_t>(part.size()));
    all += part;
  }
  return sha256({all});
}

Result<std::string> hmac(Hash hash, std::string_view key, std::initializer_list<std::string_view> parts) {
  const auto* entry = find(hash);
  if (entry == nullptr) return fail(Code::unsupported, "compute an HMAC: no " + to_string(hash) + " here");
  const std::unique_ptr<EVP_MAC, MacFree> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  if (!mac) return fail(openssl_error("compute an HMAC"));
  const std::unique_ptr<EVP_MAC_CTX, MacContextFree> context(EVP_MAC_CTX_new(mac.get()));
  std::string name = EVP_MD_get0_name(entry->md());
  const std::array<OSSL_PARAM, 2> parameters{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                                             OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_init(context.get(), data(key), key.size(), parameters.data()) != 1)
    return fail(openssl_error("compute an HMAC"));
  for (const auto part : parts)
    if (EVP_MAC_update(context.get(), data(part), part.size()) != 1) return fail(openssl_error("compute an HMAC"));
  std::string out(entry->size, '\0');
  std::size_t size = 0;
  if (EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) != 1 ||
      size != out.size())
    return fail(openssl_error("compute an HMAC"));
  return out;
}

Result<std::string> hmac_sha256(std::string_view key, std::initializer_list<std::string_view> parts) {
  return hmac(Hash::sha256, key, parts);
}

bool equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<std::string> random_bytes(std::size_t count) {
  std::string out(count, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) != 1)
    return fail(openssl_error("get " + std::to_string(count) + " random bytes"));
  return out;
}

}  // namespace vmsec::boot
