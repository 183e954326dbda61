#include "identity/openssl.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <ctime>

namespace vmsec::identity {

Error openssl_error(std::string_view operation, Code code) {
  const unsigned long number = ERR_get_error();
  const char* reason = number == 0 ? nullptr : ERR_reason_error_string(number);
  ERR_clear_error();
  std::string message(operation);
  if (reason != nullptr) message.append(": ").append(reason);
  return Error{code, std::move(message), static_cast<std::int64_t>(number), "openssl"};
}

std::string sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  if (EVP_Digest(bytes.data(), bytes.size(), bytes_of(digest), nullptr, EVP_sha256(), nullptr) != 1) std::abort();
  return digest;
}

bool equal_digests(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<std::string> random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (RAND_bytes(bytes_of(bytes), static_cast<int>(count)) != 1) return fail(openssl_error("draw random bytes"));
  return bytes;
}

std::string hex(std::string_view bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string from_hex(std::string_view digits) {
  const auto value = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  std::string out;
  if (digits.size() % 2 != 0) return out;
  out.reserve(digits.size() / 2);
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const int high = value(digits[i]);
    const int low = value(digits[i + 1]);
    if (high < 0 || low < 0) return {};
    out += static_cast<char>((high << 4) | low);
  }
  return out;
}

Result<std::string> key_digest(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return fail(openssl_error("encode public key"));
  std::string digest = sha256({reinterpret_cast<char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return digest;
}

Result<std::string> certificate_digest(X509* certificate) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), bytes_of(digest), &size) != 1)
    return fail(openssl_error("digest certificate"));
  return digest;
}

namespace {

// One buffer for label, zero byte and message: Ed25519 signs in one shot only.
std::string labelled(std::string_view label, std::string_view bytes) {
  std::string message(label);
  message += '\0';
  message += bytes;
  return message;
}

}  // namespace

Result<std::string> sign(EVP_PKEY* key, std::string_view label, std::string_view bytes) {
  const std::string message = labelled(label, bytes);
  const DigestContext context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, signing_digest(key), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(message), message.size()) != 1)
    return fail(openssl_error("sign"));
  std::string signature(size, '\0');
  if (EVP_DigestSign(context.get(), bytes_of(signature), &size, bytes_of(message), message.size()) != 1)
    return fail(openssl_error("sign"));
  signature.resize(size);
  return signature;
}

Status verify(EVP_PKEY* key, std::string_view label, std::string_view bytes, std::string_view signature) {
  const std::string message = labelled(label, bytes);
  const DigestContext context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, signing_digest(key), nullptr, key) != 1)
    return fail(openssl_error("verify signature"));
  if (EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message), message.size()) == 1)
    return {};
  ERR_clear_error();
  return fail(Code::tampered, "the signature does not fit");
}

Result<UnixSeconds> unix_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    ERR_clear_error();
    return fail(Code::invalid_argument, "not a time");
  }
  const std::time_t seconds = timegm(&parts);
  if (seconds < 0) return fail(Code::invalid_argument, "a time before 1970");
  return UnixSeconds{static_cast<std::uint64_t>(seconds)};
}

}  // namespace vmsec::identity
