// What OpenSSL reads from and writes to: it reads the socket without waiting, and what it writes is kept until it is
// asked for, so that many records leave in one system call and nobody waits inside of OpenSSL.
#pragma once

#include <openssl/bio.h>

#include <atomic>
#include <cstdint>
#include <vector>

#include "openssl.hpp"

namespace vmsec::migration {

class TlsSocket {
 public:
  explicit TlsSocket(int socket);
  TlsSocket(const TlsSocket&) = delete;
  TlsSocket& operator=(const TlsSocket&) = delete;

  // Borrows this object, which must outlive it.
  Result<BIO*> make_bio();

  // What was written since the last call; `spare` is where the next goes.
  void take(std::vector<unsigned char>& spare);
  // From now on there is nothing to read, whatever comes.
  void deafen() { deaf_ = true; }
  [[nodiscard]] std::uint64_t bytes_read() const { return read_; }
  [[nodiscard]] int fd() const { return socket_; }

 private:
  static int on_write(BIO* bio, const char* data, std::size_t size, std::size_t* written);
  static int on_read(BIO* bio, char* data, std::size_t size, std::size_t* read);
  static long on_control(BIO* bio, int command, long, void*);
  static BIO_METHOD* make_method();

  const int socket_;
  std::vector<unsigned char> out_;
  bool deaf_ = false;
  std::atomic<std::uint64_t> read_ = 0;
};

}  // namespace vmsec::migration
