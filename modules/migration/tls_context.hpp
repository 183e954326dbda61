// The rules of the streams' TLS 1.3, in one place: an external PSK with a fresh key exchange (psk_dhe_ke, RFC 8446
// 2.2 and 4.2.11), one cipher suite, and nothing else: no certificates, tickets, resumption or early data.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "key_schedule.hpp"
#include "openssl.hpp"

namespace vmsec::migration {

using SslContext = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, Deleter<SSL_free>>;

enum class TlsRole { client, server };

struct TlsCipherSuite {
  const char* name;
  unsigned char number[2];  // RFC 8446 B.4
};
// Null: TLS 1.3 has none of this cipher.
const TlsCipherSuite* tls_cipher_suite(Cipher cipher);

// What both callbacks of one connection need: it is found by SSL_get_app_data().
struct TlsOffer {
  TlsPsk psk;
  const TlsCipherSuite* suite = nullptr;
};

Result<SslContext> make_tls_context(TlsRole role, const TlsCipherSuite& suite);

// Whether the handshake that has ended is the one that was wanted: OpenSSL has enforced it; it costs nothing to be
// sure. `unauthenticated`.
Status check_handshake(SSL* ssl, const TlsCipherSuite& suite);

}  // namespace vmsec::migration
