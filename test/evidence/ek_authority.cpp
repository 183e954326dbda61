#include "ek_authority.hpp"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <catch2/catch.hpp>

namespace vmsec::boot::test {
namespace {

std::string der_of(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  REQUIRE(size > 0);
  std::string out(static_cast<std::size_t>(size), '\0');
  unsigned char* at = octets(out);
  i2d_X509(certificate, &at);
  return out;
}

X509Ptr blank(EVP_PKEY* key, const X509_NAME* issuer, const std::string& name, int days) {
  static std::atomic<long> serial = 1;
  X509Ptr out(X509_new());
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), -10L * 86400);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), days * 86400L);
  if (!name.empty())
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_ASC, octets(std::string_view(name)),
                               static_cast<int>(name.size()), -1, 0);
  X509_set_issuer_name(out.get(), issuer == nullptr ? X509_get_subject_name(out.get()) : issuer);
  REQUIRE(X509_set_pubkey(out.get(), key) == 1);
  return out;
}

void sign(X509* certificate, EVP_PKEY* key) { REQUIRE(X509_sign(certificate, key, EVP_sha256()) > 0); }

void authority_extensions(X509* certificate) {
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, NID_key_usage, "critical,keyCertSign");
}

}  // namespace

void add_extension(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  REQUIRE(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

void add_raw_extension(X509* certificate, int nid, const std::string& der) {
  ASN1_OCTET_STRING* bytes = ASN1_OCTET_STRING_new();
  ASN1_OCTET_STRING_set(bytes, octets(std::string_view(der)), static_cast<int>(der.size()));
  X509_EXTENSION* extension = X509_EXTENSION_create_by_NID(nullptr, nid, 1, bytes);
  REQUIRE(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  ASN1_OCTET_STRING_free(bytes);
}

EkAuthority EkAuthority::root(const std::string& name) {
  PkeyPtr key(EVP_EC_gen("P-256"));
  auto certificate = blank(key.get(), nullptr, name, 1);
  authority_extensions(certificate.get());
  sign(certificate.get(), key.get());
  return {std::move(key), std::move(certificate)};
}

EkAuthority EkAuthority::below(const std::string& name) const {
  PkeyPtr key(EVP_EC_gen("P-256"));
  auto certificate = blank(key.get(), X509_get_subject_name(certificate_.get()), name, 1);
  authority_extensions(certificate.get());
  sign(certificate.get(), key_.get());
  return {std::move(key), std::move(certificate)};
}

std::string EkAuthority::certify(const TpmPublic& key, const Extensions& extensions, int days) const {
  const auto pkey = key.key();
  REQUIRE(pkey);
  auto certificate = blank(pkey->get(), X509_get_subject_name(certificate_.get()), {}, days);
  extensions(certificate.get());
  sign(certificate.get(), key_.get());
  return der_of(certificate.get());
}

std::string EkAuthority::certify(const TpmPublic& key, int days) const { return certify(key, usual_extensions, days); }

std::string EkAuthority::der() const { return der_of(certificate_.get()); }

std::string EkAuthority::pem() const {
  const std::unique_ptr<BIO, Free<BIO_free>> bio(BIO_new(BIO_s_mem()));
  REQUIRE(PEM_write_bio_X509(bio.get(), certificate_.get()) == 1);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

void usual_extensions(X509* certificate) {
  add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate, NID_key_usage, "critical,keyAgreement,keyEncipherment");
  add_extension(certificate, NID_ext_key_usage, "2.23.133.8.1");
}

}  // namespace vmsec::boot::test
