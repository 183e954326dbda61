// A file's bytes, copied once into memory that nobody can change any more: what
// is looked at and verified is what is loaded (memfd_create(2), F_ADD_SEALS).
#pragma once

#include <string>
#include <string_view>

#include "vmsec/export.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::loader {

// A value that moves; read by any thread.
class VMSEC_EXPORT SealedFile {
 public:
  static constexpr std::size_t kMaximum = 256 << 20;

  // `io` where it cannot be read, `unsupported` where it is no regular file,
  // `limit_exceeded` beyond kMaximum. The messages name the file.
  static Result<SealedFile> copy(const std::string& file);
  // A descriptor of such memory that another process made: `tampered` where its
  // seals are not all set, else as copy(). `file` is its name in messages.
  static Result<SealedFile> adopt(Fd fd, const std::string& file);
  SealedFile(SealedFile&& other) noexcept;
  SealedFile& operator=(SealedFile&& other) noexcept;
  ~SealedFile();

  [[nodiscard]] const std::string& file() const { return file_; }  // where it was copied from
  [[nodiscard]] std::string_view bytes() const { return bytes_; }
  [[nodiscard]] const Fd& fd() const { return fd_; }
  [[nodiscard]] const std::string& digest() const { return digest_; }  // SHA-256, in hexadecimal

 private:
  SealedFile() = default;
  Status map(std::size_t size);

  std::string file_;
  Fd fd_;
  std::string_view bytes_;  // a mapping
  std::string digest_;
};

}  // namespace vmsec::loader
