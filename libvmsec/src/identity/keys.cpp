// Keys and certificates to and from PEM.
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "identity/files.hpp"
#include "identity/openssl.hpp"

namespace vmsec::identity {
namespace {

BioHandle reader(std::string_view text) {
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<std::string> contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (size <= 0) return fail(openssl_error("encode PEM"));
  return std::string(data, static_cast<std::size_t>(size));
}

std::unexpected<Error> not_a(std::string_view kind, std::string_view what) {
  return fail(openssl_error("read " + std::string(what) + ": not " + std::string(kind) + " in PEM form",
                            Code::invalid_argument));
}

}  // namespace

Result<KeyHandle> generate_key(KeyType type) {
  KeyHandle key(type == KeyType::ed25519 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                         : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (!key) return fail(openssl_error("generate key"));
  return key;
}

Status check_key_type(EVP_PKEY* key, std::string_view what) {
  const int type = key == nullptr ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key);
  if (type == EVP_PKEY_ED25519) return {};
  char group[32] = {};
  std::size_t size = 0;
  if (type == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
      std::string_view(group, size) == "prime256v1")
    return {};
  ERR_clear_error();
  return fail(Code::invalid_argument, std::string(what) + ": its key is neither ECDSA P-256 nor Ed25519");
}

Result<std::string> private_pem(EVP_PKEY* key) {
  const BioHandle bio(BIO_new(BIO_s_secmem()));
  if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return fail(openssl_error("encode private key"));
  return contents(bio.get());
}

Result<std::string> public_pem(EVP_PKEY* key) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PUBKEY(bio.get(), key) != 1) return fail(openssl_error("encode public key"));
  return contents(bio.get());
}

Result<std::string> certificate_pem(X509* certificate) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return fail(openssl_error("encode certificate"));
  return contents(bio.get());
}

Result<KeyHandle> parse_private(std::string_view pem, std::string_view what) {
  const BioHandle bio = reader(pem);
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return not_a("an unencrypted private key", what);
  VMSEC_CHECK(check_key_type(key.get(), what));
  return key;
}

Result<KeyHandle> parse_public(std::string_view pem, std::string_view what) {
  const BioHandle bio = reader(pem);
  KeyHandle key(PEM_read_bio_PUBKEY(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key) return not_a("a public key", what);
  VMSEC_CHECK(check_key_type(key.get(), what));
  return key;
}

Result<CertificateHandle> parse_certificate(std::string_view pem, std::string_view what) {
  const BioHandle bio = reader(pem);
  CertificateHandle certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!certificate) return not_a("a certificate", what);
  VMSEC_CHECK(check_key_type(X509_get0_pubkey(certificate.get()), what));
  return certificate;
}

Result<CertificateHandle> parse_certificate_der(std::string_view der) {
  const unsigned char* at = bytes_of(der);
  CertificateHandle certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate || at != bytes_of(der) + der.size())
    return fail(openssl_error("read certificate: not in DER form", Code::invalid_argument));
  return certificate;
}

Result<KeyHandle> load_private(const std::filesystem::path& file) {
  VMSEC_TRY(std::string pem, read_secret_file(file));
  auto key = parse_private(pem, file.string());
  OPENSSL_cleanse(pem.data(), pem.size());
  return key;
}

}  // namespace vmsec::identity
