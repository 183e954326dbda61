#include "identity/verify.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "identity/certificates.hpp"
#include "identity/impl.hpp"

namespace vmsec::identity {
namespace {

using StoreHandle = std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>>;
using NamesHandle = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

std::unexpected<Error> not_a_host(std::string_view cause) {
  return fail(Code::unauthenticated, "not a host's certificate: " + std::string(cause));
}

Result<std::string> common_name(X509* certificate) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place < 0 || X509_NAME_entry_count(subject) != 1) return not_a_host("its subject is not one name");
  const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place));
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<std::size_t>(ASN1_STRING_length(text)));
}

Result<std::string> only_dns_name(X509* certificate) {
  const NamesHandle names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  if (!names || sk_GENERAL_NAME_num(names.get()) != 1) return not_a_host("want one alternative name");
  const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), 0);
  if (name->type != GEN_DNS) return not_a_host("its alternative name is no DNS name");
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                     static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
}

std::string unverified_name(X509* certificate) {
  const auto name = common_name(certificate);
  ERR_clear_error();
  return "certificate of \"" + (name ? printable(*name) : std::string("?")) + "\"";
}

}  // namespace

Result<int> verify_chain(X509* authority, X509* certificate, X509_CRL* crl, UnixSeconds now) {
  const StoreHandle store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  if (!store || !context || X509_STORE_add_cert(store.get(), authority) != 1 ||
      (crl != nullptr && X509_STORE_add_crl(store.get(), crl) != 1) ||
      X509_STORE_CTX_init(context.get(), store.get(), certificate, nullptr) != 1)
    return fail(openssl_error("verify certificate"));
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context.get());
  unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE;
  if (crl != nullptr) flags |= X509_V_FLAG_CRL_CHECK;
  X509_VERIFY_PARAM_set_flags(rules, flags);
  X509_VERIFY_PARAM_set_depth(rules, 0);
  X509_VERIFY_PARAM_set_auth_level(rules, 2);
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_time(rules, static_cast<time_t>(now.value));
  const bool good = X509_verify_cert(context.get()) == 1;
  const int verdict = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  if (good) return X509_V_OK;
  return verdict == X509_V_OK ? X509_V_ERR_UNSPECIFIED : verdict;
}

std::string explain(int x509_error) {
  switch (x509_error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "it has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "it is not valid yet";
    case X509_V_ERR_CERT_REVOKED:
      return "it was revoked";
    case X509_V_ERR_CRL_HAS_EXPIRED:
      return "the revocation list is stale";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return "it was signed by another authority";
    default:
      return X509_verify_cert_error_string(x509_error);
  }
}

Result<PeerIdentity> describe(X509* certificate) {
  if (X509_check_ca(certificate) != 0) return not_a_host("it is an authority's");
  constexpr std::uint32_t kBoth = XKU_SSL_SERVER | XKU_SSL_CLIENT;
  const std::uint32_t usage = X509_get_extended_key_usage(certificate);
  if (usage == UINT32_MAX || (usage & kBoth) != kBoth) return not_a_host("it is not for both server and client");
  VMSEC_CHECK(check_key_type(X509_get0_pubkey(certificate), "certificate"));
  PeerIdentity peer;
  VMSEC_TRY(peer.name, only_dns_name(certificate));
  VMSEC_TRY(const std::string subject, common_name(certificate));
  if (subject != peer.name) return not_a_host("its subject and its alternative name differ");
  if (!check_host_name(peer.name)) return not_a_host("its name is not a host's");
  VMSEC_TRY(peer.certificate_digest, certificate_digest(certificate));
  VMSEC_TRY(peer.key_digest, key_digest(X509_get0_pubkey(certificate)));
  VMSEC_TRY(peer.not_after, unix_time(X509_get0_notAfter(certificate)));
  peer.serial = serial_of(certificate);
  return peer;
}

Result<PeerIdentity> verify_certificate(const HostState& host, X509* certificate, int& x509_error) {
  x509_error = X509_V_ERR_APPLICATION_VERIFICATION;
  const UnixSeconds now = host.clock();
  const auto refused = [&] {
    return fail(
        Error{Code::unauthenticated, unverified_name(certificate) + ": " + explain(x509_error), x509_error, "openssl"});
  };
  // Whoever is not of our authority does not get the list read for him.
  VMSEC_TRY(int verdict, verify_chain(host.authority.get(), certificate, nullptr, now));
  if (verdict == X509_V_OK) {
    const auto list = check_crl(host, now);
    if (!list) return fail(list.error());
    VMSEC_TRY(verdict, verify_chain(host.authority.get(), certificate, list->crl.get(), now));
  }
  x509_error = verdict;
  if (x509_error != X509_V_OK) return refused();
  auto peer = describe(certificate);
  if (peer) return peer;
  x509_error = X509_V_ERR_INVALID_PURPOSE;
  Error error = peer.error().in(unverified_name(certificate));
  error.code = Code::unauthenticated;
  return fail(std::move(error));
}

}  // namespace vmsec::identity
