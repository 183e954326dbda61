#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "sandbox.hpp"

namespace vmsec::worker {
namespace {

constexpr const char* kPlace = "/proc";  // a folder that every system has: the new root is mounted over it

std::unexpected<Error> not_done(const std::string& step, int number = errno) {
  return fail(errno_error("empty root: " + step, number, Code::unavailable));
}

class Mapping {
 public:
  Mapping(const Fd& file, std::size_t size) : size_(size) {
    data_ = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.get(), 0);
  }
  ~Mapping() {
    if (valid()) ::munmap(data_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  [[nodiscard]] bool valid() const { return data_ != MAP_FAILED; }
  [[nodiscard]] const char* data() const { return static_cast<const char*>(data_); }

 private:
  void* data_;
  std::size_t size_;
};

Status write_all(const Fd& to, const char* data, std::size_t size) {
  for (std::size_t done = 0; done < size;) {
    const ssize_t put = ::write(to.get(), data + done, size - done);
    if (put < 0 && errno != EINTR) return not_done("write the module's object");
    done += put < 0 ? 0 : static_cast<std::size_t>(put);
  }
  return {};
}

// The linker wants a path. What it will read there is compared with what was verified.
Status copy_object(const Fd& object) {
  struct stat found{};
  if (::fstat(object.get(), &found) != 0 || found.st_size <= 0) return not_done("look at the module's object");
  const auto size = static_cast<std::size_t>(found.st_size);
  const Mapping verified(object, size);
  if (!verified.valid()) return not_done("map the module's object");
  const std::string path = std::string(kPlace) + kObjectPath;
  {
    const Fd to(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0555));
    // Its mode is for the user that the worker becomes, whatever umask the host's process has.
    if (!to.valid() || ::fchmod(to.get(), 0555) != 0) return not_done("make " + path);
    VMSEC_CHECK(write_all(to, verified.data(), size));
  }
  const Fd written(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!written.valid() || ::fstat(written.get(), &found) != 0) return not_done("open " + path);
  const Mapping copy(written, size);
  if (!copy.valid()) return not_done("map " + path);
  if (static_cast<std::size_t>(found.st_size) != size || std::memcmp(copy.data(), verified.data(), size) != 0)
    return fail(Code::tampered, "empty root: the module's object is not what was verified");
  return {};
}

// pivot_root lets go of the old root; from an initramfs it cannot, and the new one is moved over it.
Status change_root() {
  if (::chdir(kPlace) != 0) return not_done("enter it");
  if (::syscall(SYS_pivot_root, ".", ".") == 0) {
    if (::umount2(".", MNT_DETACH) != 0) return not_done("let go of the old root");
  } else if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) {
    return not_done("move it to /");
  }
  if (::chroot(".") != 0 || ::chdir("/") != 0) return not_done("make it the root");
  return {};
}

}  // namespace

Status enter_empty_root(const Fd& object) {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return not_done("keep mounts to itself");
  if (::mount("none", kPlace, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=272m,nr_inodes=8") != 0)
    return not_done("mount it");
  VMSEC_CHECK(copy_object(object));
  if (::mount(nullptr, kPlace, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return not_done("make it read-only");
  return change_root();
}

}  // namespace vmsec::worker
