#include "single.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <filesystem>

namespace vmsec::daemon {

Result<Fd> lock_state(const std::string& state_dir) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(state_dir).parent_path(), ignored);
  if (::mkdir(state_dir.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno_error("make folder " + state_dir));
  const std::string file = state_dir + "/vmsecd.lock";
  Fd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return fail(errno_error("open " + file));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno == EWOULDBLOCK)
    return fail(Code::already_exists, "another vmsecd uses the state folder " + state_dir + " already");
  return fail(errno_error("lock " + file));
}

}  // namespace vmsec::daemon
