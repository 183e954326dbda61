#include "tls_context.hpp"

#include <algorithm>

#include "record.hpp"

namespace vmsec::migration {
namespace {

constexpr TlsCipherSuite kAes128{"TLS_AES_128_GCM_SHA256", {0x13, 0x01}};
constexpr TlsCipherSuite kAes256{"TLS_AES_256_GCM_SHA384", {0x13, 0x02}};
constexpr TlsCipherSuite kChaCha{"TLS_CHACHA20_POLY1305_SHA256", {0x13, 0x03}};
constexpr char kGroups[] = "X25519:P-256";

const TlsOffer& offer_of(SSL* ssl) { return *static_cast<const TlsOffer*>(SSL_get_app_data(ssl)); }

// The PSK as OpenSSL takes one: a session that never was. Null: it cannot be made.
SSL_SESSION* session_of(SSL* ssl) {
  const TlsOffer& offer = offer_of(ssl);
  SSL_SESSION* session = SSL_SESSION_new();
  const SSL_CIPHER* cipher = SSL_CIPHER_find(ssl, offer.suite->number);
  if (session != nullptr && cipher != nullptr &&
      SSL_SESSION_set1_master_key(session, bytes_of(offer.psk.key), offer.psk.key.size()) == 1 &&
      SSL_SESSION_set_cipher(session, cipher) == 1 && SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) == 1)
    return session;
  SSL_SESSION_free(session);
  return nullptr;
}

int use_psk(SSL* ssl, const EVP_MD*, const unsigned char** identity, std::size_t* size, SSL_SESSION** session) {
  const TlsOffer& offer = offer_of(ssl);
  *identity = bytes_of(offer.psk.identity);
  *size = offer.psk.identity.size();
  *session = session_of(ssl);
  return *session != nullptr ? 1 : 0;
}

// 0 ends the handshake: there is none without the PSK.
int find_psk(SSL* ssl, const unsigned char* identity, std::size_t size, SSL_SESSION** session) {
  *session = nullptr;
  if (!equal_secrets({reinterpret_cast<const char*>(identity), size}, offer_of(ssl).psk.identity)) return 0;
  *session = session_of(ssl);
  return *session != nullptr ? 1 : 0;
}

int refuse_certificate(X509_STORE_CTX*, void*) { return 0; }

bool set_rules(SSL_CTX* context, const TlsCipherSuite& suite) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_clear_options(context, SSL_OP_ALLOW_NO_DHE_KEX | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_ENABLE_KTLS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  // A write is whole; a read goes on behind a key update, as long as there is something to read.
  SSL_CTX_clear_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_mode(context, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kPreferredPayload);
  // A peer that shows a certificate instead of the PSK is refused, whoever has signed it.
  SSL_CTX_set_cert_verify_callback(context, refuse_certificate, nullptr);
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1 &&
         SSL_CTX_set_max_early_data(context, 0) == 1 && SSL_CTX_set_recv_max_early_data(context, 0) == 1 &&
         SSL_CTX_set_ciphersuites(context, suite.name) == 1 && SSL_CTX_set1_groups_list(context, kGroups) == 1;
}

}  // namespace

const TlsCipherSuite* tls_cipher_suite(Cipher cipher) {
  switch (cipher) {
    case Cipher::aes_128_gcm:
      return &kAes128;
    case Cipher::aes_256_gcm:
      return &kAes256;
    case Cipher::chacha20_poly1305:
      return &kChaCha;
    case Cipher::none:
    case Cipher::policy:
      break;
  }
  return nullptr;
}

Result<SslContext> make_tls_context(TlsRole role, const TlsCipherSuite& suite) {
  SslContext context(SSL_CTX_new(role == TlsRole::client ? TLS_client_method() : TLS_server_method()));
  if (!context || !set_rules(context.get(), suite)) return fail(openssl_error("set up TLS for a stream"));
  if (role == TlsRole::client) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_psk_use_session_callback(context.get(), use_psk);
  } else {
    SSL_CTX_set_psk_find_session_callback(context.get(), find_psk);
  }
  return context;
}

Status check_handshake(SSL* ssl, const TlsCipherSuite& suite) {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
  EVP_PKEY* ephemeral = nullptr;
  const bool fresh = SSL_get_peer_tmp_key(ssl, &ephemeral) == 1;
  EVP_PKEY_free(ephemeral);
  if (SSL_version(ssl) == TLS1_3_VERSION && SSL_session_reused(ssl) == 1 && fresh && cipher != nullptr &&
      std::string_view(SSL_CIPHER_get_name(cipher)) == suite.name && SSL_get0_peer_certificate(ssl) == nullptr)
    return {};
  return fail(Code::unauthenticated, "not a TLS 1.3 handshake by the stream's key with a fresh key exchange");
}

}  // namespace vmsec::migration
