#include "identity/certificates.hpp"

#include <openssl/pem.h>

namespace vmsec::identity {
namespace {

using NumberHandle = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using IntegerHandle = std::unique_ptr<ASN1_INTEGER, Deleter<ASN1_INTEGER_free>>;
using TimeHandle = std::unique_ptr<ASN1_TIME, Deleter<ASN1_TIME_free>>;
using ExtensionHandle = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

struct Extension {
  int nid;
  std::string value;
};

// 16 bytes, positive, and always 32 hexadecimal digits.
Status set_serial(X509* certificate) {
  VMSEC_TRY(std::string bytes, random_bytes(16));
  bytes[0] = static_cast<char>((bytes[0] & 0x3f) | 0x40);
  const NumberHandle number(BN_bin2bn(bytes_of(bytes), 16, nullptr));
  if (!number || BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
    return fail(openssl_error("set serial"));
  return {};
}

Status add_extensions(X509* certificate, X509* issuer, const std::vector<Extension>& extensions) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const auto& each : extensions) {
    const ExtensionHandle extension(X509V3_EXT_conf_nid(nullptr, &context, each.nid, each.value.c_str()));
    if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
      return fail(openssl_error("add certificate extension"));
  }
  return {};
}

TimeHandle asn1_time(UnixSeconds time) { return TimeHandle(ASN1_TIME_set(nullptr, static_cast<time_t>(time.value))); }

// All but issuer, extensions and signature.
Result<CertificateHandle> begin(const CertificateRequest& request) {
  CertificateHandle certificate(X509_new());
  if (!certificate) return fail(openssl_error("make certificate"));
  VMSEC_CHECK(set_serial(certificate.get()));
  const TimeHandle from = asn1_time(request.not_before);
  const TimeHandle until = asn1_time(request.not_after);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  if (X509_set_version(certificate.get(), X509_VERSION_3) != 1 || !from || !until ||
      X509_set1_notBefore(certificate.get(), from.get()) != 1 ||
      X509_set1_notAfter(certificate.get(), until.get()) != 1 ||
      X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, bytes_of(request.name),
                                 static_cast<int>(request.name.size()), -1, 0) != 1 ||
      X509_set_pubkey(certificate.get(), request.key) != 1)
    return fail(openssl_error("make certificate"));
  return certificate;
}

Result<CertificateHandle> finish(CertificateHandle certificate, const Signer& signer,
                                 const std::vector<Extension>& extensions) {
  X509* issuer = signer.certificate == nullptr ? certificate.get() : signer.certificate;
  if (X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer)) != 1)
    return fail(openssl_error("make certificate"));
  VMSEC_CHECK(add_extensions(certificate.get(), issuer, extensions));
  if (X509_sign(certificate.get(), signer.key, signing_digest(signer.key)) == 0)
    return fail(openssl_error("sign certificate"));
  return certificate;
}

Status add_revoked(X509_CRL* crl, const RevokedSerial& entry) {
  BIGNUM* raw = nullptr;
  if (BN_hex2bn(&raw, entry.serial.c_str()) == 0) return fail(openssl_error("list revoked serial"));
  const NumberHandle number(raw);
  const IntegerHandle serial(BN_to_ASN1_INTEGER(raw, nullptr));
  const TimeHandle when = asn1_time(entry.when);
  std::unique_ptr<X509_REVOKED, Deleter<X509_REVOKED_free>> revoked(X509_REVOKED_new());
  if (!serial || !when || !revoked || X509_REVOKED_set_serialNumber(revoked.get(), serial.get()) != 1 ||
      X509_REVOKED_set_revocationDate(revoked.get(), when.get()) != 1 || X509_CRL_add0_revoked(crl, revoked.get()) != 1)
    return fail(openssl_error("list revoked serial"));
  static_cast<void>(revoked.release());  // the list owns it now
  return {};
}

Status add_crl_extensions(X509_CRL* crl, X509* issuer, std::uint64_t number) {
  const IntegerHandle value(ASN1_INTEGER_new());
  if (!value || ASN1_INTEGER_set_uint64(value.get(), number) != 1 ||
      X509_CRL_add1_ext_i2d(crl, NID_crl_number, value.get(), 0, 0) != 1)
    return fail(openssl_error("number revocation list"));
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, nullptr, nullptr, crl, 0);
  const ExtensionHandle key_id(X509V3_EXT_conf_nid(nullptr, &context, NID_authority_key_identifier, "keyid:always"));
  if (!key_id || X509_CRL_add_ext(crl, key_id.get(), -1) != 1) return fail(openssl_error("make revocation list"));
  return {};
}

}  // namespace

Result<CertificateHandle> make_authority(const CertificateRequest& request) {
  VMSEC_TRY(auto certificate, begin(request));
  return finish(std::move(certificate), Signer{nullptr, request.key},
                {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                 {NID_key_usage, "critical,keyCertSign,cRLSign"},
                 {NID_subject_key_identifier, "hash"}});
}

Result<CertificateHandle> make_host(const CertificateRequest& request, const Signer& signer) {
  VMSEC_TRY(auto certificate, begin(request));
  return finish(std::move(certificate), signer,
                {{NID_basic_constraints, "critical,CA:FALSE"},
                 {NID_key_usage, "critical,digitalSignature"},
                 {NID_ext_key_usage, "serverAuth,clientAuth"},
                 {NID_subject_key_identifier, "hash"},
                 {NID_authority_key_identifier, "keyid:always"},
                 {NID_subject_alt_name, "DNS:" + std::string(request.name)}});
}

Result<std::string> make_crl_pem(const CrlRequest& request, const Signer& signer) {
  const CrlHandle crl(X509_CRL_new());
  const TimeHandle from = asn1_time(request.this_update);
  const TimeHandle until = asn1_time(request.next_update);
  if (!crl || !from || !until || X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2) != 1 ||
      X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(signer.certificate)) != 1 ||
      X509_CRL_set1_lastUpdate(crl.get(), from.get()) != 1 || X509_CRL_set1_nextUpdate(crl.get(), until.get()) != 1)
    return fail(openssl_error("make revocation list"));
  for (const auto& entry : request.revoked) VMSEC_CHECK(add_revoked(crl.get(), entry));
  VMSEC_CHECK(add_crl_extensions(crl.get(), signer.certificate, request.number));
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (X509_CRL_sort(crl.get()) != 1 || X509_CRL_sign(crl.get(), signer.key, signing_digest(signer.key)) == 0 || !bio ||
      PEM_write_bio_X509_CRL(bio.get(), crl.get()) != 1)
    return fail(openssl_error("sign revocation list"));
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string serial_of(const X509* certificate) {
  const NumberHandle number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  if (!number || BN_is_negative(number.get())) return {};
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
  BN_bn2bin(number.get(), bytes_of(bytes));
  return hex(bytes);
}

}  // namespace vmsec::identity
