// Owns one file descriptor.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <utility>

#include "vmsec/result.hpp"

namespace vmsec {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  // A second, independent descriptor of the same open file.
  [[nodiscard]] Result<Fd> duplicate() const {
    Fd copy(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
    if (!copy.valid())
      return fail(Error{Code::io, "duplicate descriptor: " + std::generic_category().message(errno), errno, "errno"});
    return copy;
  }

 private:
  int fd_ = -1;
};

// The Error of a failed system call, from errno.
inline Error errno_error(std::string_view operation, int number = errno, Code code = Code::io) {
  return Error{code, std::string(operation) + ": " + std::generic_category().message(number), number, "errno"};
}

}  // namespace vmsec
