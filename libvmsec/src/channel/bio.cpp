#include "channel/bio.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace vmsec::channel {
namespace {

int socket_of(BIO* bio) { return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio))); }

bool try_again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int write_socket(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::send(socket_of(bio), data, size, MSG_NOSIGNAL);
  if (count >= 0) {
    *written = static_cast<std::size_t>(count);
    return 1;
  }
  if (try_again()) BIO_set_retry_write(bio);
  return 0;
}

int read_socket(BIO* bio, char* data, std::size_t size, std::size_t* read) {
  BIO_clear_retry_flags(bio);
  const ssize_t count = ::recv(socket_of(bio), data, size, 0);
  if (count > 0) {
    *read = static_cast<std::size_t>(count);
    return 1;
  }
  if (count < 0 && try_again()) BIO_set_retry_read(bio);
  if (count == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return 0;
}

long control_socket(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return 0;
}

BIO_METHOD* make_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "vmsec socket");
  if (method == nullptr) return nullptr;
  BIO_meth_set_write_ex(method, write_socket);
  BIO_meth_set_read_ex(method, read_socket);
  BIO_meth_set_ctrl(method, control_socket);
  return method;
}

}  // namespace

Result<identity::BioHandle> socket_bio(int fd) {
  // One for the process, alive until its end: connections may outlive statics.
  static BIO_METHOD* const kMethod = make_method();
  identity::BioHandle bio(kMethod == nullptr ? nullptr : BIO_new(kMethod));
  if (!bio) return fail(identity::openssl_error("make BIO"));
  BIO_set_data(bio.get(), reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio.get(), 1);
  return bio;
}

}  // namespace vmsec::channel
