#include "channel/session.hpp"

#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <poll.h>

#include "channel/bio.hpp"
#include "channel/frame.hpp"

namespace vmsec::channel {
namespace {

constexpr std::string_view kBindingLabel = "vmsec channel binding v1";
constexpr std::string_view kBindingExporter = "EXPORTER-vmsec-binding";

// What the other side's alert says about us (RFC 8446 6.2).
std::string explain_alert(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
      return "it does not accept our certificate";
    case SSL_AD_CERTIFICATE_REVOKED:
      return "it says that our certificate was revoked";
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "it says that our certificate has expired";
    case SSL_AD_UNKNOWN_CA:
      return "it does not know the authority of our certificate";
    case SSL_AD_DECRYPT_ERROR:
      return "it says that our certificate's signature is wrong";
    case SSL_AD_HANDSHAKE_FAILURE:
      return "it refuses the handshake (is its revocation list stale?)";
    case SSL_AD_PROTOCOL_VERSION:
      return "it does not speak TLS 1.3";
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return "it does not speak vmsec/1";
    case TLS13_AD_CERTIFICATE_REQUIRED:
      return "it wants a certificate";
    default:
      return "it ended with TLS alert " + std::to_string(alert);
  }
}

bool is_alert(int reason) { return reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255; }

}  // namespace

// What one call of OpenSSL came to.
struct Session::Step {
  int result = 0;  // SSL_ERROR_...
  unsigned long queue = 0;
  int number = 0;  // errno
};

template <class Operation>
Session::Step Session::step(Operation operation) {
  const std::lock_guard lock(ssl_mutex);
  ERR_clear_error();
  errno = 0;
  Step step;
  const int code = operation();
  step.number = errno;
  step.result = SSL_get_error(ssl.get(), code);
  step.queue = ERR_peek_error();
  ERR_clear_error();
  return step;
}

std::string Session::who() const {
  const std::string& name = peer.name.empty() ? expected : peer.name;
  return name.empty() ? address : name + " (" + address + ")";
}

Status Session::usable() const {
  if (!ssl) return fail(Code::wrong_state, "connection with " + who() + ": it was detached");
  if (shut) return fail(Code::cancelled, "connection with " + who() + ": it was shut down");
  if (dead) return fail(Code::unavailable, "connection with " + who() + ": it failed before");
  return {};
}

Error Session::error_of(const Step& step) const {
  if (shut) return Error{Code::cancelled, "it was shut down", 0, {}};
  if (step.result == SSL_ERROR_ZERO_RETURN)
    return Error{Code::unavailable, "the peer closed it", SSL_ERROR_ZERO_RETURN, "tls"};
  const int reason = ERR_GET_REASON(step.queue);
  if (step.result == SSL_ERROR_SSL && reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return Error{Code::unavailable, "it was cut: it ended without a goodbye", 0, {}};
  if (step.result != SSL_ERROR_SSL)
    return step.number != 0 ? errno_error("it was cut", step.number, Code::unavailable)
                            : Error{Code::unavailable, "it was cut", 0, {}};
  const auto native = static_cast<std::int64_t>(step.queue);
  if (is_alert(reason))
    return Error{Code::unauthenticated, explain_alert(reason - SSL_AD_REASON_OFFSET), native, "openssl"};
  const char* text = ERR_reason_error_string(step.queue);
  const bool established = !peer.name.empty() && !binding.empty();
  return Error{established ? Code::tampered : Code::unauthenticated, text == nullptr ? "TLS failed" : text, native,
               "openssl"};
}

Status Session::wait(const Step& step, const Deadline* deadline) {
  if (step.result == SSL_ERROR_WANT_READ) return wait_for(fd.get(), POLLIN, deadline);
  if (step.result == SSL_ERROR_WANT_WRITE) return wait_for(fd.get(), POLLOUT, deadline);
  return fail(error_of(step));
}

Status Session::read(char* to, std::size_t count, const Deadline* deadline, bool& began) {
  while (count > 0) {
    std::size_t got = 0;
    const Step done = step([&] { return SSL_read_ex(ssl.get(), to, count, &got); });
    if (done.result == SSL_ERROR_NONE) {
      began = true;
      to += got;
      count -= got;
      continue;
    }
    VMSEC_CHECK(wait(done, deadline));
  }
  return {};
}

Status Session::write(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    std::size_t put = 0;
    const Step done = step([&] { return SSL_write_ex(ssl.get(), bytes.data(), bytes.size(), &put); });
    if (done.result == SSL_ERROR_NONE) {
      bytes.remove_prefix(put);
      continue;
    }
    VMSEC_CHECK(wait(done, &deadline));
  }
  return {};
}

Status Session::handshake(Deadline deadline) {
  VMSEC_CHECK(set_blocking(fd.get(), Blocking::no));
  VMSEC_TRY(auto bio, socket_bio(fd.get()));
  ssl.reset(SSL_new(tls(context).tls.get()));
  if (!ssl) return fail(identity::openssl_error("begin TLS"));
  SSL_set_bio(ssl.get(), bio.get(), bio.get());
  static_cast<void>(bio.release());  // ssl owns it now
  SSL_set_app_data(ssl.get(), this);
  role == Role::client ? SSL_set_connect_state(ssl.get()) : SSL_set_accept_state(ssl.get());
  while (true) {
    const Step done = step([&] { return SSL_do_handshake(ssl.get()); });
    if (done.result == SSL_ERROR_NONE) break;
    if (refusal) return fail(*refusal);
    VMSEC_CHECK(wait(done, &deadline));
  }
  VMSEC_CHECK(learn_peer());
  VMSEC_CHECK(agree(deadline));
  return bind();
}

// OpenSSL has enforced all of this; it costs nothing to be sure.
Status Session::learn_peer() {
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl.get(), &protocol, &size);
  if (std::string_view(reinterpret_cast<const char*>(protocol), size) != kProtocol)
    return fail(Code::unauthenticated, "it does not speak vmsec/1");
  if (SSL_version(ssl.get()) != TLS1_3_VERSION || SSL_session_reused(ssl.get()) != 0 || peer.name.empty() ||
      SSL_get_verify_result(ssl.get()) != X509_V_OK)
    return fail(Code::unauthenticated, "not a fresh, verified TLS 1.3 handshake");
  certificate.reset(SSL_get1_peer_certificate(ssl.get()));
  if (!certificate) return fail(Code::unauthenticated, "it showed no certificate");
  VMSEC_TRY(const std::string digest, identity::certificate_digest(certificate.get()));
  if (!identity::equal_digests(digest, peer.certificate_digest))
    return fail(Code::unauthenticated, "its certificate changed in the handshake");
  cipher = SSL_CIPHER_get_name(SSL_get_current_cipher(ssl.get()));
  return {};
}

// In TLS 1.3 a client is done before the server has looked at its certificate.
// So the server's first frame, an empty one, says that it has, and accepts it.
Status Session::agree(Deadline deadline) {
  if (role == Role::server) return write(frame_header(0), deadline);
  bool began = false;
  VMSEC_TRY(const std::string frame,
            read_frame([&](char* to, std::size_t count) { return read(to, count, &deadline, began); }));
  if (!frame.empty()) return fail(Code::unauthenticated, "its first frame is not the one that accepts us");
  return {};
}

Status Session::bind() {
  std::string secret(32, '\0');
  if (SSL_export_keying_material(ssl.get(), identity::bytes_of(secret), secret.size(), kBindingExporter.data(),
                                 kBindingExporter.size(), nullptr, 0, 1) != 1)
    return fail(identity::openssl_error("export TLS binding"));
  const std::string& own = context.identity().certificate_digest();
  std::string text(kBindingLabel);
  text += '\0';
  text += secret;
  text += role == Role::client ? own + peer.certificate_digest : peer.certificate_digest + own;
  binding = identity::sha256(text);
  return {};
}

int verify_peer_callback(X509_STORE_CTX* store, void*) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto& session = *static_cast<Session*>(SSL_get_app_data(ssl));
  const auto& host = identity::Access::host(session.context.identity());
  int verdict = X509_V_ERR_APPLICATION_VERIFICATION;
  auto peer = identity::verify_certificate(host, X509_STORE_CTX_get0_cert(store), verdict);
  if (peer && session.role == Role::client && peer->name != session.expected) {
    peer = fail(Code::unauthenticated, "its certificate is " + peer->name + "'s");
    verdict = X509_V_ERR_HOSTNAME_MISMATCH;
  }
  X509_STORE_CTX_set_error(store, verdict);
  if (!peer) {
    session.refusal = peer.error();
    return 0;
  }
  session.peer = std::move(*peer);
  return 1;
}

}  // namespace vmsec::channel
