// OpenSSL's handles with their owners, and the few operations that we use.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "vmsec/identity.hpp"
#include "vmsec/result.hpp"

namespace vmsec::identity {

template <auto kFree>
struct Deleter {
  template <class T>
  void operator()(T* handle) const {
    kFree(handle);
  }
};

using KeyHandle = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertificateHandle = std::unique_ptr<X509, Deleter<X509_free>>;
using CrlHandle = std::unique_ptr<X509_CRL, Deleter<X509_CRL_free>>;
using BioHandle = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;

// The first error in this thread's queue, which is then empty.
Error openssl_error(std::string_view operation, Code code = Code::internal);

std::string sha256(std::string_view bytes);
bool equal_digests(std::string_view a, std::string_view b);  // in constant time
Result<std::string> random_bytes(std::size_t count);
std::string hex(std::string_view bytes);
// Lower-case digits, two for each byte; empty for anything else.
std::string from_hex(std::string_view digits);

// For every PEM_read: OpenSSL would ask the terminal for the passphrase of what is
// encrypted, or claims to be.
inline int no_passphrase(char*, int, int, void*) { return -1; }

Result<KeyHandle> generate_key(KeyType type);
Status check_key_type(EVP_PKEY* key, std::string_view what);  // P-256 or Ed25519
Result<std::string> key_digest(EVP_PKEY* key);                // SHA-256 of the SPKI
Result<std::string> certificate_digest(X509* certificate);    // SHA-256 of the DER form

Result<std::string> private_pem(EVP_PKEY* key);
Result<std::string> public_pem(EVP_PKEY* key);
Result<std::string> certificate_pem(X509* certificate);
Result<KeyHandle> parse_private(std::string_view pem, std::string_view what);
Result<KeyHandle> parse_public(std::string_view pem, std::string_view what);
Result<CertificateHandle> parse_certificate(std::string_view pem, std::string_view what);
Result<CertificateHandle> parse_certificate_der(std::string_view der);

// Refuses a file that others may read.
Result<KeyHandle> load_private(const std::filesystem::path& file);

// Over label, a zero byte, and the bytes.
Result<std::string> sign(EVP_PKEY* key, std::string_view label, std::string_view bytes);
Status verify(EVP_PKEY* key, std::string_view label, std::string_view bytes, std::string_view signature);

Result<UnixSeconds> unix_time(const ASN1_TIME* time);

inline const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
inline unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// The message digest that goes with a key when signing: none for Ed25519.
inline const EVP_MD* signing_digest(EVP_PKEY* key) {
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
}

}  // namespace vmsec::identity
