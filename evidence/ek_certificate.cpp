#include "ek_certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <vector>

#include "digest.hpp"

namespace vmsec::boot {
namespace {

using BioPtr = std::unique_ptr<BIO, Free<BIO_free>>;

// OpenSSL would ask the terminal for the passphrase of what claims to be encrypted.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<std::vector<X509Ptr>> read_roots(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return fail(openssl_error("read ek_roots"));
  std::vector<X509Ptr> roots;
  ERR_clear_error();
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr))
    roots.emplace_back(certificate);
  // The end of the text is told as "no start line"; all else is a broken certificate.
  const auto error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
    return fail(
        openssl_error("read ek_roots: certificate " + std::to_string(roots.size() + 1), Code::invalid_argument));
  ERR_clear_error();
  if (roots.empty()) return fail(Code::invalid_argument, "read ek_roots: it holds no certificate");
  return roots;
}

Result<X509Ptr> read_certificate(std::string_view der) {
  const unsigned char* at = octets(der);
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return fail(openssl_error("the endorsement key's certificate cannot be read", Code::untrusted));
  return certificate;
}

}  // namespace

Result<std::size_t> check_roots(const std::string& roots) {
  VMSEC_TRY(const auto certificates, read_roots(roots));
  return certificates.size();
}

Status verify_ek_certificate(std::string_view certificate, const TpmPublic& endorsement_key, const std::string& roots) {
  if (certificate.empty())
    return fail(Code::untrusted, "the TPM has no certificate for its endorsement key, and ek_roots asks for one");
  VMSEC_TRY(const auto leaf, read_certificate(certificate));
  VMSEC_TRY(const auto trusted, read_roots(roots));
  const X509StorePtr store(X509_STORE_new());
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  if (!store || !context) return fail(openssl_error("verify the endorsement key's certificate"));
  for (const auto& root : trusted)
    if (X509_STORE_add_cert(store.get(), root.get()) != 1)
      return fail(openssl_error("verify the endorsement key's certificate"));
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1)
    return fail(openssl_error("verify the endorsement key's certificate"));
  if (X509_verify_cert(context.get()) != 1) {
    const int number = X509_STORE_CTX_get_error(context.get());
    return fail(Error{
        Code::untrusted,
        std::string("the endorsement key's certificate does not verify: ") + X509_verify_cert_error_string(number),
        number, "openssl"});
  }
  VMSEC_TRY(const auto key, endorsement_key.key());
  const EVP_PKEY* certified = X509_get0_pubkey(leaf.get());
  if (certified == nullptr || EVP_PKEY_eq(certified, key.get()) != 1)
    return fail(openssl_error("the endorsement key's certificate is of another key", Code::untrusted));
  return {};
}

}  // namespace vmsec::boot
