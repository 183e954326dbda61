#include "identity/files.hpp"

#include <sys/file.h>
#include <sys/stat.h>

namespace vmsec::identity {
namespace {

Error file_error(std::string_view operation, const std::filesystem::path& file) {
  const int number = errno;
  const Code code = number == ENOENT ? Code::not_found : number == EEXIST ? Code::already_exists : Code::io;
  return errno_error(std::string(operation) + " " + file.string(), number, code);
}

Result<std::string> read_all(const Fd& fd, const std::filesystem::path& file, std::size_t limit) {
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail(file_error("read", file));
  if (!S_ISREG(info.st_mode)) return fail(Code::invalid_argument, "read " + file.string() + ": not a regular file");
  std::string bytes;
  char buffer[16384];
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(file_error("read", file));
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(count) > limit)
      return fail(Code::limit_exceeded, "read " + file.string() + ": larger than " + std::to_string(limit) + " bytes");
    bytes.append(buffer, static_cast<std::size_t>(count));
  }
}

// O_NONBLOCK: a fifo in a file's place must not hang us.
Fd open_for_reading(const std::filesystem::path& file) {
  return Fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

Status write_file(const std::filesystem::path& file, std::string_view bytes, mode_t mode) {
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!fd.valid()) return fail(file_error("create", file));
  auto written = write_all(fd.get(), bytes, "write " + file.string());
  if (written && ::fsync(fd.get()) != 0) written = fail(file_error("write", file));
  if (!written) ::unlink(file.c_str());
  return written;
}

}  // namespace

Status write_all(int fd, std::string_view bytes, std::string_view operation) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error(operation));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::string> read_file(const std::filesystem::path& file, std::size_t limit) {
  const Fd fd = open_for_reading(file);
  if (!fd.valid()) return fail(file_error("read", file));
  return read_all(fd, file, limit);
}

Result<std::string> read_secret_file(const std::filesystem::path& file) {
  const Fd fd = open_for_reading(file);
  if (!fd.valid()) return fail(file_error("read", file));
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return fail(file_error("read", file));
  if ((info.st_mode & 077) != 0)
    return fail(Code::denied, "read " + file.string() + ": others may read it; a private key needs mode 0600");
  if (info.st_uid != ::geteuid() && info.st_uid != 0)
    return fail(Code::denied, "read " + file.string() + ": a private key must belong to this user or root");
  return read_all(fd, file, kMaxPemFile);
}

Status write_new_file(const std::filesystem::path& file, std::string_view bytes, mode_t mode) {
  VMSEC_CHECK(write_file(file, bytes, mode));
  return sync_folder(folder_of(file));
}

Status replace_file(const std::filesystem::path& file, std::string_view bytes, mode_t mode) {
  std::filesystem::path fresh = file;
  fresh += ".new";
  ::unlink(fresh.c_str());  // left by a crash
  VMSEC_CHECK(write_file(fresh, bytes, mode));
  if (::rename(fresh.c_str(), file.c_str()) != 0) {
    const Error error = file_error("replace", file);
    ::unlink(fresh.c_str());
    return fail(error);
  }
  return sync_folder(folder_of(file));
}

Status sync_folder(const std::filesystem::path& dir) {
  const Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || ::fsync(fd.get()) != 0) return fail(file_error("sync folder", dir));
  return {};
}

Result<FileLock> FileLock::take(const std::filesystem::path& file) {
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return fail(file_error("open lock", file));
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail(file_error("lock", file));
  }
  return FileLock(std::move(fd));
}

}  // namespace vmsec::identity
