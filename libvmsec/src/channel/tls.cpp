#include "channel/tls.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include "channel/frame.hpp"
#include "channel/session.hpp"

namespace vmsec::channel {
namespace {

// A socket that is closed with unread bytes is reset, and the alert that says
// why we refuse may be lost on its way: so read what comes for a moment.
void let_alert_out(int fd) {
  ::shutdown(fd, SHUT_WR);
  const Deadline deadline = deadline_in(Microseconds{250'000});
  char waste[4096];
  for (int rounds = 0; rounds < 64; ++rounds) {
    if (!wait_for(fd, POLLIN, &deadline)) return;
    if (::recv(fd, waste, sizeof waste, 0) <= 0) return;
  }
}

Result<std::unique_ptr<Session>> establish(const TlsContext& context, Fd socket, std::string_view expected, Role role,
                                           std::string address, Microseconds timeout) {
  auto session = std::make_unique<Session>();
  session->context = context;
  session->fd = std::move(socket);
  session->role = role;
  session->expected = expected;
  session->address = std::move(address);
  const Status status = session->handshake(deadline_in(timeout));
  if (status) return session;
  let_alert_out(session->fd.get());
  return fail(status.error().in((role == Role::client ? "connect to " : "accept ") + session->who()));
}

// No delay for small frames; and a peer whose machine is gone is noticed within a
// minute even where nobody sends anything. Not all of it fits every kind of socket.
void tune(int fd) {
  const auto set = [&](int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 20);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace

TlsConnection::TlsConnection(std::unique_ptr<Session> session) : session_(std::move(session)) {}
TlsConnection::~TlsConnection() = default;

Result<std::unique_ptr<TlsConnection>> TlsConnection::connect(const TlsContext& context, std::string_view address,
                                                              std::string_view expected_name, Microseconds timeout) {
  VMSEC_CHECK(check_host_name(expected_name));
  const Deadline deadline = deadline_in(timeout);
  VMSEC_TRY(Fd socket, connect_to(address, deadline));
  const auto left =
      std::chrono::duration_cast<std::chrono::microseconds>(deadline - std::chrono::steady_clock::now()).count();
  return connect(context, std::move(socket), expected_name,
                 Microseconds{left > 0 ? static_cast<std::uint64_t>(left) : 0});
}

Result<std::unique_ptr<TlsConnection>> TlsConnection::connect(const TlsContext& context, Fd socket,
                                                              std::string_view expected_name, Microseconds timeout) {
  VMSEC_CHECK(check_host_name(expected_name));
  tune(socket.get());
  std::string address = channel::remote_address(socket.get());
  VMSEC_TRY(auto session,
            establish(context, std::move(socket), expected_name, Role::client, std::move(address), timeout));
  return std::unique_ptr<TlsConnection>(new TlsConnection(std::move(session)));
}

Result<std::unique_ptr<TlsConnection>> TlsConnection::accept(const TlsContext& context, Fd socket,
                                                             Microseconds timeout) {
  tune(socket.get());
  std::string address = channel::remote_address(socket.get());
  VMSEC_TRY(auto session, establish(context, std::move(socket), {}, Role::server, std::move(address), timeout));
  return std::unique_ptr<TlsConnection>(new TlsConnection(std::move(session)));
}

Status TlsConnection::send(std::string_view frame, Microseconds timeout) {
  const auto size = check_frame_size(frame.size());
  if (!size) return fail(size.error().in("send to " + session_->who()));
  const std::lock_guard lock(session_->send_mutex);
  VMSEC_CHECK(session_->usable());
  std::string bytes = frame_header(frame.size());
  bytes += frame;
  const Status sent = session_->write(bytes, deadline_in(timeout));
  if (sent) return {};
  session_->dead = true;
  return fail(sent.error().in("send to " + session_->who()));
}

Result<std::string> TlsConnection::receive(Microseconds timeout, std::size_t limit) {
  VMSEC_CHECK(session_->usable());
  bool began = false;
  const Deadline first = deadline_in(timeout);
  Deadline rest{};
  const auto read = [&](char* to, std::size_t count) -> Status {
    // Until its first byte a frame may take its time; then it must come through.
    if (!began) {
      VMSEC_CHECK(session_->read(to, 1, timeout.value == 0 ? nullptr : &first, began));
      rest = deadline_in(kFrameTimeout);
      ++to;
      --count;
    }
    return session_->read(to, count, &rest, began);
  };
  auto frame = read_frame(read, limit);
  if (frame) return frame;
  Error error = frame.error().in("receive from " + session_->who());
  if (began && error.native_source == "tls")
    error = Error{Code::unavailable, "receive from " + session_->who() + ": it was cut within a frame", 0, {}};
  session_->dead = began || error.code != Code::timeout;
  return fail(std::move(error));
}

void TlsConnection::close() {
  if (session_->send_mutex.try_lock()) {
    if (session_->usable()) {
      const std::lock_guard lock(session_->ssl_mutex);
      SSL_shutdown(session_->ssl.get());
      ERR_clear_error();
    }
    session_->send_mutex.unlock();
  }
  shutdown();
}

void TlsConnection::shutdown() {
  session_->shut = true;
  if (session_->fd.valid()) ::shutdown(session_->fd.get(), SHUT_RDWR);
}

Status TlsConnection::recheck_peer() const {
  int verdict = 0;
  const auto& host = identity::Access::host(session_->context.identity());
  auto peer = identity::verify_certificate(host, session_->certificate.get(), verdict);
  if (!peer) return fail(peer.error().in("check " + session_->who() + " again"));
  return {};
}

const std::string& TlsConnection::peer_name() const { return session_->peer.name; }
const std::string& TlsConnection::local_name() const { return session_->context.identity().name(); }
const std::string& TlsConnection::peer_certificate_digest() const { return session_->peer.certificate_digest; }
const std::string& TlsConnection::local_certificate_digest() const {
  return session_->context.identity().certificate_digest();
}
const std::string& TlsConnection::peer_key_digest() const { return session_->peer.key_digest; }
const std::string& TlsConnection::binding() const { return session_->binding; }
std::string TlsConnection::cipher() const { return session_->cipher; }
std::string TlsConnection::remote_address() const { return session_->address; }
bool TlsConnection::is_client() const { return session_->role == Role::client; }

Result<std::string> TlsConnection::export_secret(std::string_view label, std::string_view context,
                                                 std::size_t length) const {
  if (!label.starts_with("EXPORTER-vmsec-") || label.size() > 200 || length == 0 || length > 255)
    return fail(Code::invalid_argument,
                "export TLS secret \"" + printable(label) + "\": a label of ours, 1 to 255 bytes");
  const std::lock_guard lock(session_->ssl_mutex);
  if (!session_->ssl) return fail(Code::wrong_state, "export TLS secret: the connection was detached");
  std::string secret(length, '\0');
  if (SSL_export_keying_material(session_->ssl.get(), identity::bytes_of(secret), length, label.data(), label.size(),
                                 identity::bytes_of(context), context.size(), 1) != 1)
    return fail(identity::openssl_error("export TLS secret"));
  return secret;
}

Result<Fd> TlsConnection::detach() {
  VMSEC_CHECK(session_->usable());
  if (SSL_pending(session_->ssl.get()) != 0 || SSL_has_pending(session_->ssl.get()) != 0) {
    shutdown();
    return fail(Code::wrong_state, "detach from " + session_->who() + ": it sent more than the last frame");
  }
  VMSEC_CHECK(set_blocking(session_->fd.get(), Blocking::yes));
  session_->ssl.reset();  // without SSL_shutdown(): nothing is sent
  return std::move(session_->fd);
}

bool ended_in_order(const Error& error) {
  return error.code == Code::unavailable && error.native_source == "tls" && error.native == SSL_ERROR_ZERO_RETURN;
}

}  // namespace vmsec::channel
