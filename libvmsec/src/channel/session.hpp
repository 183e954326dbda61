// A TLS session: what TlsConnection is made of.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <mutex>
#include <optional>

#include "channel/address.hpp"
#include "channel/tls.hpp"
#include "identity/impl.hpp"

namespace vmsec::channel {

using SslContextHandle = std::unique_ptr<SSL_CTX, identity::Deleter<SSL_CTX_free>>;
using SslHandle = std::unique_ptr<SSL, identity::Deleter<SSL_free>>;

struct TlsContext::Impl {
  HostIdentity identity;
  SslContextHandle tls;
};

enum class Role { client, server };

struct Session {
  TlsContext context;
  Fd fd;          // outlives ssl
  SslHandle ssl;  // null after detach()
  Role role = Role::client;
  std::string expected;  // clients: the server's name
  std::string address;
  PeerIdentity peer;
  identity::CertificateHandle certificate;  // the peer's
  std::string binding;
  std::string cipher;
  std::optional<Error> refusal;  // why the verify callback said no
  std::mutex ssl_mutex;          // each call of OpenSSL on ssl
  std::mutex send_mutex;         // a whole frame
  std::atomic<bool> shut = false;
  std::atomic<bool> dead = false;

  // "peer web-2 (10.0.0.2:7000)"
  [[nodiscard]] std::string who() const;
  Status handshake(Deadline deadline);
  Status read(char* to, std::size_t count, const Deadline* first, bool& began);
  Status write(std::string_view bytes, Deadline deadline);
  [[nodiscard]] Status usable() const;

  static const TlsContext::Impl& tls(const TlsContext& context) { return *context.impl_; }

 private:
  struct Step;
  template <class Operation>
  Step step(Operation operation);
  Status wait(const Step& step, const Deadline* deadline);
  Error error_of(const Step& step) const;
  Status learn_peer();
  Status bind();
  Status agree(Deadline deadline);
};

// The verdict on the peer's certificate; called by OpenSSL in the handshake.
int verify_peer_callback(X509_STORE_CTX* store, void*);

}  // namespace vmsec::channel
