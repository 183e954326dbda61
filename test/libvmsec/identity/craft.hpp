// Certificates that our authority would never issue, for tests that must refuse them.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "libvmsec/identity/cloud.hpp"

namespace vmsec::test {

struct Free {
  void operator()(X509* p) const { X509_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(BIO* p) const { BIO_free(p); }
};
using X509Ptr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;
using BioPtr = std::unique_ptr<BIO, Free>;

inline X509Ptr read_certificate(const fs::path& file) {
  const BioPtr bio(BIO_new_file(file.c_str(), "r"));
  return X509Ptr(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}
inline KeyPtr read_key(const fs::path& file) {
  const BioPtr bio(BIO_new_file(file.c_str(), "r"));
  return KeyPtr(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}
inline std::string der_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return out;
}
inline std::vector<std::string> chain_of(const fs::path& certificate) {
  return {der_of(read_certificate(certificate).get())};
}

struct Wish {
  std::string cn = "web-1";
  std::string san = "DNS:web-1";
  std::string usage = "serverAuth,clientAuth";
  std::string constraints = "critical,CA:FALSE";
  KeyPtr key = KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
};

// Signed by the authority's own key, whatever the wish.
inline X509Ptr craft(const Cloud& cloud, const Wish& wish) {
  const fs::path ca = cloud.authority.certificate_file().parent_path();
  const X509Ptr issuer = read_certificate(ca / "ca.crt");
  const KeyPtr signer = read_key(ca / "ca.key");
  X509Ptr out(X509_new());
  X509_set_version(out.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), 4711);
  const auto now = static_cast<time_t>(cloud.clock.now().value);
  ASN1_TIME_set(X509_getm_notBefore(out.get()), now - 60);
  ASN1_TIME_set(X509_getm_notAfter(out.get()), now + 86400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(wish.cn.data()), static_cast<int>(wish.cn.size()),
                             -1, 0);
  X509_set_issuer_name(out.get(), X509_get_subject_name(issuer.get()));
  X509_set_pubkey(out.get(), wish.key.get());
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer.get(), out.get(), nullptr, nullptr, 0);
  const std::pair<int, std::string> extensions[] = {{NID_basic_constraints, wish.constraints},
                                                    {NID_ext_key_usage, wish.usage},
                                                    {NID_subject_key_identifier, "hash"},
                                                    {NID_authority_key_identifier, "keyid:always"},
                                                    {NID_subject_alt_name, wish.san}};
  for (const auto& [nid, value] : extensions) {
    if (value.empty()) continue;
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    REQUIRE(extension != nullptr);
    X509_add_ext(out.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  REQUIRE(X509_sign(out.get(), signer.get(), EVP_sha256()) > 0);
  return out;
}

}  // namespace vmsec::test
