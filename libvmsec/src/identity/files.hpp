// Files that are on the disk when a call answers.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "vmsec/fd.hpp"
#include "vmsec/result.hpp"

namespace vmsec::identity {

inline constexpr std::size_t kMaxPemFile = 64 << 10;

// `not_found`, `limit_exceeded`, `io`. Only regular files.
Result<std::string> read_file(const std::filesystem::path& file, std::size_t limit = kMaxPemFile);
// `denied` where others than the owner may read or write it, or a stranger owns it.
Result<std::string> read_secret_file(const std::filesystem::path& file);

// `already_exists` where there is one. After an error there is no file.
Status write_new_file(const std::filesystem::path& file, std::string_view bytes, mode_t mode);
// As a whole, by rename: a reader sees the old or the new one.
Status replace_file(const std::filesystem::path& file, std::string_view bytes, mode_t mode);
Status sync_folder(const std::filesystem::path& dir);
Status write_all(int fd, std::string_view bytes, std::string_view operation);

// Holds flock() on the file until it is destroyed; waits for others. Orders
// threads as well as processes: each lock is a description of its own.
class FileLock {
 public:
  static Result<FileLock> take(const std::filesystem::path& file);

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace vmsec::identity
