#include "tls_socket.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "record.hpp"

namespace vmsec::migration {
namespace {

// A payload, what TLS adds to each 16 KiB of it, and a key update.
constexpr std::size_t kRoom = kPreferredPayload + kPreferredPayload / 512 + 1024;
// OpenSSL answers some messages while it reads (a key update that asks for one): a peer that sends nothing else does
// not make us keep ever more.
constexpr std::size_t kMostKept = 2 * kRoom;

TlsSocket& socket_of(BIO* bio) { return *static_cast<TlsSocket*>(BIO_get_data(bio)); }

}  // namespace

TlsSocket::TlsSocket(int socket) : socket_(socket) { out_.reserve(kRoom); }

void TlsSocket::take(std::vector<unsigned char>& spare) {
  spare.clear();
  spare.reserve(kRoom);
  std::swap(out_, spare);
}

int TlsSocket::on_write(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  auto& out = socket_of(bio).out_;
  if (out.size() + size > kMostKept) return 0;
  out.insert(out.end(), data, data + size);
  *written = size;
  return 1;
}

int TlsSocket::on_read(BIO* bio, char* data, std::size_t size, std::size_t* read) {
  BIO_clear_retry_flags(bio);
  TlsSocket& self = socket_of(bio);
  if (self.deaf_) return 0;
  const ssize_t count = ::recv(self.socket_, data, size, MSG_DONTWAIT);
  if (count > 0) {
    *read = static_cast<std::size_t>(count);
    self.read_ += *read;
    return 1;
  }
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_retry_read(bio);
  return 0;
}

long TlsSocket::on_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

BIO_METHOD* TlsSocket::make_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vmsec migration stream");
  if (method == nullptr) return nullptr;
  BIO_meth_set_write_ex(method, on_write);
  BIO_meth_set_read_ex(method, on_read);
  BIO_meth_set_ctrl(method, on_control);
  return method;
}

Result<BIO*> TlsSocket::make_bio() {
  // One for the process, alive until its end.
  static BIO_METHOD* const kMethod = make_method();
  BIO* bio = kMethod == nullptr ? nullptr : BIO_new(kMethod);
  if (bio == nullptr) return fail(openssl_error("make a BIO"));
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace vmsec::migration
