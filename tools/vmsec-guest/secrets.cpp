#include "secrets.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>

#include "vmsec/fd.hpp"

namespace vmsec::guest {
namespace {

Status write_whole(const Fd& file, std::string_view bytes, const std::string& operation) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error(operation));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace

Status store_secret(const std::string& folder, const std::string& name, std::string_view secret) {
  const std::string path = folder + "/" + name;
  const std::string operation = "store secret " + path;
  const std::string fresh = folder + "/." + name;  // no secret's name begins with a dot
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error(operation));
  ::unlink(fresh.c_str());
  const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return fail(errno_error(operation));
  Status written = write_whole(file, secret, operation);
  if (written && ::rename(fresh.c_str(), path.c_str()) != 0) written = fail(errno_error(operation));
  if (!written) ::unlink(fresh.c_str());
  return written;
}

}  // namespace vmsec::guest
