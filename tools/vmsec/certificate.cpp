#include "certificate.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <cstdio>
#include <memory>

namespace vmsec::cli {
namespace {

struct Free {
  void operator()(std::FILE* file) const { std::fclose(file); }
  void operator()(X509* certificate) const { ::X509_free(certificate); }
};

Result<std::string> common_name(const X509& certificate, const std::string& file) {
  const X509_NAME* subject = ::X509_get_subject_name(&certificate);
  const int place = ::X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  const X509_NAME_ENTRY* entry = place < 0 ? nullptr : ::X509_NAME_get_entry(subject, place);
  const ASN1_STRING* value = entry == nullptr ? nullptr : ::X509_NAME_ENTRY_get_data(entry);
  if (value == nullptr) return fail(Code::invalid_argument, "read certificate " + file + ": it names no host");
  std::string name(reinterpret_cast<const char*>(::ASN1_STRING_get0_data(value)),
                   static_cast<std::size_t>(::ASN1_STRING_length(value)));
  if (auto good = check_host_name(name); !good) return fail(good.error().in("read certificate " + file));
  return name;
}

}  // namespace

Result<std::string> sha256(std::string_view bytes) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  if (::EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size, ::EVP_sha256(),
                   nullptr) != 1 ||
      size != digest.size())
    return fail(Code::internal, "SHA-256 is not available");
  return digest;
}

Result<NamedKey> read_host_certificate(const std::string& file) {
  VMSEC_TRY(PublicKey key, PublicKey::load(file));
  const std::unique_ptr<std::FILE, Free> in(std::fopen(file.c_str(), "re"));
  const std::unique_ptr<X509, Free> certificate(in ? ::PEM_read_X509(in.get(), nullptr, nullptr, nullptr) : nullptr);
  if (!certificate) return fail(Code::invalid_argument, "read certificate " + file + ": it holds no certificate");
  VMSEC_TRY(std::string name, common_name(*certificate, file));
  return NamedKey{std::move(name), std::move(key)};
}

}  // namespace vmsec::cli
