#include "tls_layer.hpp"

#include <openssl/sslerr.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace vmsec::migration {
namespace {

constexpr auto kHandshakePatience = std::chrono::seconds(30);
// A key update comes once in kBytesPerTlsKey, and nothing else of its kind ever: a peer that sends more of them keeps
// us at work, and from seeing that nothing moves.
constexpr std::uint32_t kMostMessages = 16;
constexpr std::string_view kExporterLabel = "EXPORTER-vmsec-migration-stream";

bool is_alert(int reason) { return reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255; }

}  // namespace

Result<std::unique_ptr<TlsLayer>> TlsLayer::create(TlsRole role, Cipher cipher, TlsPsk psk, int socket,
                                                   std::uint64_t bytes_per_key) {
  const TlsCipherSuite* suite = tls_cipher_suite(cipher);
  if (suite == nullptr) return fail(Code::invalid_argument, "begin TLS for a stream: no such cipher suite");
  std::unique_ptr<TlsLayer> layer(new TlsLayer({std::move(psk), suite}, socket, bytes_per_key));
  VMSEC_TRY(layer->context_, make_tls_context(role, *suite));
  layer->ssl_.reset(SSL_new(layer->context_.get()));
  if (!layer->ssl_) return fail(openssl_error("begin TLS for a stream"));
  VMSEC_TRY(BIO * bio, layer->socket_.make_bio());
  SSL_set_bio(layer->ssl_.get(), bio, bio);  // owns it now
  SSL_set_app_data(layer->ssl_.get(), &layer->offer_);
  SSL_set_msg_callback(layer->ssl_.get(), on_message);
  SSL_set_msg_callback_arg(layer->ssl_.get(), layer.get());
  role == TlsRole::client ? SSL_set_connect_state(layer->ssl_.get()) : SSL_set_accept_state(layer->ssl_.get());
  return layer;
}

TlsLayer::~TlsLayer() { wipe(offer_.psk.key); }

template <class Operation>
TlsLayer::Step TlsLayer::step(Operation operation) {
  const std::lock_guard lock(mutex_);
  ERR_clear_error();
  const int code = operation();
  Step step;
  step.result = SSL_get_error(ssl_.get(), code);
  step.queue = ERR_peek_error();
  ERR_clear_error();
  return step;
}

void TlsLayer::on_message(int written, int, int type, const void*, std::size_t, SSL*, void* layer) {
  auto& self = *static_cast<TlsLayer*>(layer);
  if (written != 0 || type != SSL3_RT_HANDSHAKE || !self.agreed_) return;
  if (++self.messages_ > kMostMessages) self.socket_.deafen();
}

Error TlsLayer::error_of(const Step& step) const {
  if (messages_ > kMostMessages)
    return Error{Code::tampered, "read TLS: more messages beside the data than a stream has", 0, {}};
  const int reason = ERR_GET_REASON(step.queue);
  if (step.result != SSL_ERROR_SSL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return Error{Code::unavailable, "the connection was cut before the authenticated end", 0, {}};
  const char* text = ERR_reason_error_string(step.queue);
  const std::string cause = text == nullptr ? "no reason given" : text;
  const auto native = static_cast<std::int64_t>(step.queue);
  if (!agreed_) return Error{Code::unauthenticated, "TLS for the stream: " + cause, native, "openssl"};
  // A peer that could not use what came says so, where a cut connection says nothing.
  if (is_alert(reason)) return Error{Code::unavailable, "the other host ended TLS: " + cause, native, "openssl"};
  return Error{Code::tampered, "open a TLS record: " + cause, native, "openssl"};
}

Status TlsLayer::wait_for_peer(int milliseconds) const {
  pollfd ready{socket_.fd(), POLLIN, 0};
  while (true) {
    const int count = ::poll(&ready, 1, milliseconds);
    if (count > 0) return {};
    if (count == 0) return fail(Code::timeout, "TLS for the stream: the other host does not answer");
    if (errno != EINTR) return fail(errno_error("wait for the other host"));
  }
}

Result<std::size_t> TlsLayer::flush() {
  const std::lock_guard wire(wire_);
  {
    const std::lock_guard lock(mutex_);
    socket_.take(leaving_);
  }
  VMSEC_CHECK(write_all(socket_.fd(), leaving_, "send to the other host", Code::unavailable));
  return leaving_.size();
}

void TlsLayer::answer() {
  const std::unique_lock wire(wire_, std::try_to_lock);
  if (!wire) return;
  std::vector<unsigned char> bytes;
  {
    const std::lock_guard lock(mutex_);
    socket_.take(bytes);
  }
  std::ignore = ::send(socket_.fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

Status TlsLayer::handshake() {
  const auto deadline = std::chrono::steady_clock::now() + kHandshakePatience;
  while (true) {
    const Step done = step([&] { return SSL_do_handshake(ssl_.get()); });
    // Also where it failed: the peer learns why from an alert.
    const auto sent = flush();
    if (done.result != SSL_ERROR_NONE && done.result != SSL_ERROR_WANT_READ) return fail(error_of(done));
    if (!sent) return fail(sent.error());
    uncounted_ += *sent;
    if (done.result == SSL_ERROR_NONE) return {};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    VMSEC_CHECK(wait_for_peer(static_cast<int>(std::max<std::int64_t>(left.count(), 0))));
  }
}

// What the manifest's entry begins with is known to nobody but the two ends of this very connection.
Status TlsLayer::agree() {
  VMSEC_CHECK(check_handshake(ssl_.get(), *offer_.suite));
  std::string binding(kDigestSize, '\0');
  if (SSL_export_keying_material(ssl_.get(), reinterpret_cast<unsigned char*>(binding.data()), binding.size(),
                                 kExporterLabel.data(), kExporterLabel.size(), nullptr, 0, 1) != 1)
    return fail(openssl_error("export a TLS secret"));
  const auto count_of = [&](TlsRole writer) {
    return FrameCount::create(binding + (writer == TlsRole::client ? "client" : "server"));
  };
  const bool server = SSL_is_server(ssl_.get()) == 1;
  VMSEC_TRY(sent_, count_of(server ? TlsRole::server : TlsRole::client));
  VMSEC_TRY(taken_, count_of(server ? TlsRole::client : TlsRole::server));
  wipe(binding);
  return {};
}

Status TlsLayer::begin() {
  VMSEC_CHECK(handshake());
  VMSEC_CHECK(agree());
  wipe(offer_.psk.key);  // the connection has keys of its own
  agreed_ = true;
  return {};
}

Status TlsLayer::update_key() {
  const Step done = step([&] {
    return SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) == 1 ? SSL_do_handshake(ssl_.get()) : -1;
  });
  if (done.result != SSL_ERROR_NONE) return fail(Code::internal, "renew a TLS key: " + error_of(done).message);
  since_update_ = 0;
  ++key_updates_;
  return {};
}

Result<std::size_t> TlsLayer::write(RecordType type, std::span<unsigned char> buffer) {
  const std::size_t length = buffer.size() - kHeaderSize - kTagSize;
  VMSEC_CHECK(sent_->stamp(type, length, buffer.first<kHeaderSize>()));
  if (since_update_ >= bytes_per_key_) VMSEC_CHECK(update_key());
  std::size_t put = 0;
  const Step done = step([&] { return SSL_write_ex(ssl_.get(), buffer.data(), kHeaderSize + length, &put); });
  if (done.result != SSL_ERROR_NONE) return fail(error_of(done));
  since_update_ += put;
  VMSEC_TRY(const std::size_t sent, flush());
  return sent + std::exchange(uncounted_, 0);
}

Status TlsLayer::end_writing() {
  const Step done = step([&] { return SSL_shutdown(ssl_.get()) < 0 ? -1 : 1; });
  if (done.result != SSL_ERROR_NONE) return fail(error_of(done));
  VMSEC_TRY(std::ignore, flush());
  ::shutdown(socket_.fd(), SHUT_WR);
  return {};
}

// As much as there is; 0: the peer has closed its direction.
Result<std::size_t> TlsLayer::read_some(std::span<unsigned char> room) {
  if (broken_) return fail(*broken_);
  while (!closed_) {
    std::size_t have = 0;
    const Step done = step([&] {
      int code = 1;
      while (have < room.size() && code == 1) {
        std::size_t got = 0;
        code = SSL_read_ex(ssl_.get(), room.data() + have, room.size() - have, &got);
        have += got;
      }
      return code;
    });
    closed_ = done.result == SSL_ERROR_ZERO_RETURN;
    const bool good = closed_ || done.result == SSL_ERROR_NONE || done.result == SSL_ERROR_WANT_READ;
    if (!good) {
      broken_ = error_of(done);
      answer();
    }
    if (have > 0) return have;  // what came before an error is looked at before it
    if (closed_) break;
    if (broken_) return fail(*broken_);
    VMSEC_CHECK(wait_for_peer(-1));
  }
  return 0;
}

Result<RecordLayer::Record> TlsLayer::read() {
  const auto receive = [this](std::span<unsigned char> room) -> Result<std::size_t> {
    VMSEC_TRY(const std::size_t count, read_some(room));
    if (count == 0) return fail(Code::tampered, "the other host closed TLS without an end");
    return count;
  };
  VMSEC_TRY(const RecordBuffer::Whole frame, incoming_.next(receive));
  VMSEC_CHECK(taken_->check(frame.header));
  messages_ = 0;
  const std::uint64_t before = std::exchange(counted_, socket_.bytes_read());
  return Record{frame.header.type, frame.bytes.subspan(kHeaderSize), static_cast<std::size_t>(counted_ - before)};
}

Status TlsLayer::end_reading() {
  unsigned char more = 0;
  const std::size_t left = incoming_.left();
  VMSEC_TRY(const std::size_t count, read_some({&more, 1}));
  if (left + count > 0) return fail(Code::tampered, "more behind the end");
  return {};
}

Result<RecordLayer::Carried> TlsLayer::carried(const std::optional<FrameCount>& frames) {
  if (!frames) return fail(Code::internal, "say what a stream has carried: its handshake is not over");
  VMSEC_TRY(std::string transcript, frames->digest());
  return Carried{frames->frames(), std::move(transcript)};
}

}  // namespace vmsec::migration
