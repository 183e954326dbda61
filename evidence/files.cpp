#include "files.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "vmsec/fd.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kMoreRoom = 4096;

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t limit, std::string_view what) {
  const std::string operation = "read " + std::string(what) + " " + path;
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return fail(errno_error(operation));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return fail(errno_error(operation));
  if (!S_ISREG(status.st_mode)) return fail(Code::io, operation + ": it is no regular file");
  // The kernel's own files say that they are empty, and any file may grow: then there is more room, up to the limit.
  std::string out(std::min(limit, static_cast<std::size_t>(status.st_size)) + 1, '\0');
  std::size_t size = 0;
  while (size <= limit) {
    if (size == out.size()) out.resize(std::min(limit + 1, 2 * size + kMoreRoom));
    const ssize_t got = ::read(fd.get(), out.data() + size, out.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error(operation));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > limit)
    return fail(Code::limit_exceeded, operation + ": it has more than " + std::to_string(limit) + " bytes");
  out.resize(size);
  return out;
}

}  // namespace vmsec::boot
