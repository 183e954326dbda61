// The rules of our TLS, in one place.
#include "channel/session.hpp"

namespace vmsec::channel {
namespace {

constexpr char kSuites[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
constexpr char kGroups[] = "X25519:P-256";
constexpr char kSignatures[] = "ECDSA+SHA256:ed25519";
constexpr unsigned char kAlpn[] = {7, 'v', 'm', 's', 'e', 'c', '/', '1'};
constexpr long kMaxCertificateBytes = 16 << 10;

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned int in_size,
                void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kAlpn, sizeof kAlpn, in, in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

bool set_protocol(SSL_CTX* tls) {
  SSL_CTX_set_options(tls, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_clear_options(tls, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS);
  SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_clear_mode(tls, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(tls, 0);  // detach() depends on it
  SSL_CTX_set_max_cert_list(tls, kMaxCertificateBytes);
  return SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(tls, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(tls, 0) == 1 &&
         SSL_CTX_set_max_early_data(tls, 0) == 1 && SSL_CTX_set_recv_max_early_data(tls, 0) == 1 &&
         SSL_CTX_set_ciphersuites(tls, kSuites) == 1 && SSL_CTX_set1_groups_list(tls, kGroups) == 1 &&
         SSL_CTX_set1_sigalgs_list(tls, kSignatures) == 1 && SSL_CTX_set1_client_sigalgs_list(tls, kSignatures) == 1 &&
         SSL_CTX_set_alpn_protos(tls, kAlpn, sizeof kAlpn) == 0;
}

}  // namespace

Result<TlsContext> TlsContext::create(const HostIdentity& identity) {
  const auto& host = identity::Access::host(identity);
  SslContextHandle tls(SSL_CTX_new(TLS_method()));
  if (!tls || !set_protocol(tls.get()) || SSL_CTX_use_certificate(tls.get(), host.certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(tls.get(), host.key.get()) != 1)
    return fail(identity::openssl_error("set up TLS"));
  SSL_CTX_set_alpn_select_cb(tls.get(), select_alpn, nullptr);
  SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(tls.get(), verify_peer_callback, nullptr);
  TlsContext context;
  context.impl_ = std::make_shared<const Impl>(Impl{identity, std::move(tls)});
  return context;
}

const HostIdentity& TlsContext::identity() const { return impl_->identity; }

}  // namespace vmsec::channel
