#include "ek_certificate.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "bytes.hpp"
#include "digest.hpp"

namespace vmsec::boot {
namespace {

using BioPtr = std::unique_ptr<BIO, Free<BIO_free>>;
using ExtendedUsePtr = std::unique_ptr<EXTENDED_KEY_USAGE, Free<EXTENDED_KEY_USAGE_free>>;
using ObjectPtr = std::unique_ptr<ASN1_OBJECT, Free<ASN1_OBJECT_free>>;
// Of borrowed certificates.
struct StackFree {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
};
using StackPtr = std::unique_ptr<STACK_OF(X509), StackFree>;

constexpr std::size_t kMaxIssuers = 16;
constexpr const char* kEkCertificateUse = "2.23.133.8.1";  // tcg-kp-EKCertificate
constexpr const char* kOperation = "verify the endorsement key's certificate";

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

Result<X509Ptr> read_certificate(std::string_view der, const std::string& what) {
  const unsigned char* at = octets(der);
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (!certificate) return fail(openssl_error(what + " cannot be read", Code::untrusted));
  return certificate;
}

Result<std::vector<X509Ptr>> read_issuers(const std::vector<std::string>& ders) {
  if (ders.size() > kMaxIssuers)
    return fail(Code::untrusted, "the endorsement key comes with " + std::to_string(ders.size()) +
                                     " intermediate certificates, want at most " + std::to_string(kMaxIssuers));
  std::vector<X509Ptr> out;
  for (const auto& der : ders) {
    const auto what = "the endorsement key's intermediate certificate " + std::to_string(out.size() + 1);
    VMSEC_TRY(auto certificate, read_certificate(der, what));
    out.push_back(std::move(certificate));
  }
  return out;
}

std::string text_of(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio || name == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return "?";
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size <= 0 ? "no name" : printable({text, static_cast<std::size_t>(size)});
}

// OpenSSL knows no subjectDirectoryAttributes; the profile describes the TPM in them
// (family, level, revision), and some manufacturers call them critical. Nothing hangs on them.
bool described_critically(X509* leaf) {
  for (int i = 0; i < X509_get_ext_count(leaf); ++i) {
    X509_EXTENSION* extension = X509_get_ext(leaf, i);
    if (X509_EXTENSION_get_critical(extension) == 0 || X509_supported_extension(extension) != 0) continue;
    if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) != NID_subject_directory_attributes) return false;
  }
  return true;
}

int on_finding(int fine, X509_STORE_CTX* context) {
  if (fine != 0) return 1;
  if (X509_STORE_CTX_get_error(context) != X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION ||
      X509_STORE_CTX_get_error_depth(context) != 0 || !described_critically(X509_STORE_CTX_get0_cert(context)))
    return 0;
  X509_STORE_CTX_set_error(context, X509_V_OK);
  return 1;
}

Error finding_of(X509_STORE_CTX* context) {
  const int number = X509_STORE_CTX_get_error(context);
  const X509* at = X509_STORE_CTX_get_current_cert(context);
  const bool no_issuer =
      number == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || number == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
  std::string where;
  if (at != nullptr)
    where = no_issuer ? " (no certificate of \"" + text_of(X509_get_issuer_name(at)) + "\")"
                      : " (certificate of \"" + text_of(X509_get_subject_name(at)) + "\")";
  ERR_clear_error();
  return Error{Code::untrusted,
               std::string("the endorsement key's certificate does not verify: ") +
                   X509_verify_cert_error_string(number) + where,
               number, "openssl"};
}

Status check_chain(X509* leaf, const std::vector<X509Ptr>& issuers, const std::vector<X509Ptr>& roots) {
  const X509StorePtr store(X509_STORE_new());
  const X509StoreContextPtr context(X509_STORE_CTX_new());
  const StackPtr between(sk_X509_new_null());
  if (!store || !context || !between) return fail(openssl_error(kOperation));
  for (const auto& root : roots)
    if (X509_STORE_add_cert(store.get(), root.get()) != 1) return fail(openssl_error(kOperation));
  for (const auto& issuer : issuers)
    if (sk_X509_push(between.get(), issuer.get()) == 0) return fail(openssl_error(kOperation));
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf, between.get()) != 1) return fail(openssl_error(kOperation));
  X509_STORE_CTX_set_verify_cb(context.get(), on_finding);
  if (X509_verify_cert(context.get()) != 1) return fail(finding_of(context.get()));
  return {};
}

// EK Credential Profile 2.5, 3.2: the certificate of an end, for a key that decrypts.
Status check_use(X509* leaf) {
  constexpr std::string_view kThe = "the endorsement key's certificate ";
  if (X509_check_ca(leaf) == 1) return fail(Code::untrusted, std::string(kThe) + "is that of an authority");
  const auto use = X509_get_key_usage(leaf);  // all ones where it says nothing
  if ((use & (KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT)) == 0)
    return fail(Code::untrusted, std::string(kThe) +
                                     "is not for encryption: its key usage has neither "
                                     "keyEncipherment nor keyAgreement");
  const ExtendedUsePtr uses(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(leaf, NID_ext_key_usage, nullptr, nullptr)));
  if (!uses) return {};
  const ObjectPtr wanted(OBJ_txt2obj(kEkCertificateUse, 1));
  if (!wanted) return fail(openssl_error(kOperation));
  for (int i = 0; i < sk_ASN1_OBJECT_num(uses.get()); ++i)
    if (OBJ_cmp(sk_ASN1_OBJECT_value(uses.get(), i), wanted.get()) == 0) return {};
  return fail(Code::untrusted, std::string(kThe) + "is for another use: its extended key usage has no " +
                                   "tcg-kp-EKCertificate (" + kEkCertificateUse + ")");
}

}  // namespace

std::vector<std::string> split_certificates(std::string_view bytes) {
  std::vector<std::string> out;
  while (true) {
    const auto start = bytes.find_first_not_of(std::string_view("\0\xff", 2));
    if (start == std::string_view::npos) return out;
    bytes.remove_prefix(start);
    const unsigned char* at = octets(bytes);
    long length = 0;
    int tag = 0;
    int kind = 0;
    const int read = ASN1_get_object(&at, &length, &tag, &kind, static_cast<long>(bytes.size()));
    const bool sequence = read == V_ASN1_CONSTRUCTED && tag == V_ASN1_SEQUENCE && kind == V_ASN1_UNIVERSAL;
    ERR_clear_error();
    const auto size = sequence ? static_cast<std::size_t>(at - octets(bytes) + length) : bytes.size();
    out.emplace_back(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

Result<std::size_t> check_roots(const std::string& roots) {
  VMSEC_TRY(const auto certificates, read_roots(roots));
  return certificates.size();
}

Status verify_ek_certificate(std::string_view certificate, const std::vector<std::string>& issuers,
                             const TpmPublic& endorsement_key, const std::string& roots) {
  if (certificate.empty())
    return fail(Code::untrusted, "the TPM has no certificate for its endorsement key, and ek_roots asks for one");
  VMSEC_TRY(const auto leaf, read_certificate(certificate, "the endorsement key's certificate"));
  VMSEC_TRY(const auto between, read_issuers(issuers));
  VMSEC_TRY(const auto trusted, read_roots(roots));
  // Before the chain, which OpenSSL refuses without saying why.
  const EVP_PKEY* certified = X509_get0_pubkey(leaf.get());
  if (certified == nullptr)
    return fail(openssl_error("the key in the endorsement key's certificate cannot be read", Code::untrusted));
  VMSEC_CHECK(check_chain(leaf.get(), between, trusted));
  VMSEC_CHECK(check_use(leaf.get()));
  VMSEC_TRY(const auto key, endorsement_key.key());
  if (EVP_PKEY_eq(certified, key.get()) != 1)
    return fail(openssl_error("the endorsement key's certificate is of another key", Code::untrusted));
  return {};
}

}  // namespace vmsec::boot
