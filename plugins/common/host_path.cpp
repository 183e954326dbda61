#include "host_path.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

namespace vmsec::common {

namespace {

namespace fs = std::filesystem;

bool contains(const fs::path& folder, const fs::path& path) {
  auto at = path.begin();
  for (const auto& part : folder) {
    if (part.empty()) continue;  // the slash at a folder's end
    if (at == path.end() || *at != part) return false;
    ++at;
  }
  return at != path.end();
}

// A volume's name, /dev/vg0/web, is a link that this host's own udev made to /dev/dm-3. Others can make links in
// /dev/shm, which is another file system.
bool is_named_device(const fs::path& path, const fs::path& real, const fs::path& folder) {
  static const fs::path kDevices = "/dev";
  if (!contains(kDevices, folder) || !contains(kDevices, real)) return false;
  std::error_code failed;
  const fs::path real_folder = fs::canonical(folder, failed);
  if (failed) return false;
  const fs::path parent = fs::canonical(path.parent_path(), failed);
  if (failed || (parent != real_folder && !contains(real_folder, parent))) return false;
  struct stat link{};
  struct stat devices{};
  return ::lstat(path.c_str(), &link) == 0 && ::stat(kDevices.c_str(), &devices) == 0 && link.st_dev == devices.st_dev;
}

bool lies_in(const fs::path& path, const fs::path& folder, PathUse use) {
  std::error_code failed;
  const fs::path real = fs::weakly_canonical(path, failed);
  if (failed) return false;
  if (use == PathUse::device && is_named_device(path, real, folder)) return true;
  const fs::path real_folder = fs::weakly_canonical(folder, failed);
  return !failed && contains(folder, path) && contains(real_folder, real);
}

std::unexpected<Error> denied(const std::string& cause) { return fail(Code::denied, cause); }

const char* kind_of(mode_t mode) {
  if (S_ISREG(mode)) return "a regular file";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISBLK(mode) || S_ISCHR(mode)) return "a device";
  return "a pipe or a socket";
}

// From the folder step by step, following no link below it. Names the last step,
// whatever it is; invalid where the path ends before.
Result<Fd> walk(const std::string& folder, const std::string& path) {
  Fd at(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid() && errno == ENOENT) return Fd();
  if (!at.valid()) return fail(errno_error("open folder " + folder, errno, Code::denied));
  const fs::path relative = fs::path(path).lexically_relative(folder);
  const auto last = std::prev(relative.end());
  for (auto step = relative.begin(); step != relative.end(); ++step) {
    Fd next(::openat(at.get(), step->c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!next.valid() && errno == ENOENT) return Fd();
    if (!next.valid()) return fail(errno_error("open " + path, errno, Code::denied));
    struct stat status{};
    if (::fstat(next.get(), &status) != 0) return fail(errno_error("look at " + path, errno, Code::denied));
    if (step != last && !S_ISDIR(status.st_mode))
      return denied("leads through " + std::string(kind_of(status.st_mode)));
    at = std::move(next);
  }
  return at;
}

// The descriptor names the file only; invalid where nothing is there.
Result<Fd> locate(const std::string& path, const std::vector<std::string>& folders, PathUse use) {
  if (!is_plain_path(path)) return denied("is not a plain absolute path");
  const auto folder =
      std::find_if(folders.begin(), folders.end(), [&](const std::string& each) { return lies_in(path, each, use); });
  if (folder == folders.end()) return denied("lies below none of the allowed folders");
  if (use == PathUse::data) return walk(*folder, path);
  Fd found(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!found.valid() && errno != ENOENT) return fail(errno_error("open " + path, errno, Code::denied));
  return found;
}

// A node made elsewhere, say on shared storage, names a device of this host too.
bool is_of_this_host(const struct stat& status) {
  struct stat devices{};
  return ::stat("/dev", &devices) == 0 && status.st_dev == devices.st_dev;
}

Status check_kind(const Fd& file, PathUse use) {
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail(errno_error("look at it", errno, Code::denied));
  if (use != PathUse::device)
    return S_ISREG(status.st_mode) ? Status()
                                   : denied("is " + std::string(kind_of(status.st_mode)) + ", not a regular file");
  if (!S_ISBLK(status.st_mode)) return denied("is " + std::string(kind_of(status.st_mode)) + ", not a block device");
  return is_of_this_host(status) ? Status() : denied("is a device node outside of /dev");
}

}  // namespace

bool is_plain_path(const std::string& path) {
  return path.starts_with("/") && !path.ends_with("/") && fs::path(path).lexically_normal().native() == path;
}

bool lies_below(const std::string& path, const std::vector<std::string>& folders) {
  return is_plain_path(path) && std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
           return lies_in(path, folder, PathUse::program);
         });
}

Status check_use(const std::string& path, const std::vector<std::string>& folders, PathUse use) {
  VMSEC_TRY(const Fd found, locate(path, folders, use));
  return found.valid() ? check_kind(found, use) : Status();
}

Result<Fd> open_for_check(const std::string& path, const std::vector<std::string>& folders, PathUse use) {
  VMSEC_TRY(const Fd found, locate(path, folders, use));
  if (!found.valid()) return denied("is not there");
  VMSEC_CHECK(check_kind(found, use));
  // The very file that was looked at, whatever its path names by now.
  const std::string self = "/proc/self/fd/" + std::to_string(found.get());
  Fd file(::open(self.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error("read " + path, errno, Code::denied));
  return file;
}

Result<Fd> open_folder_for(const std::string& path, const std::vector<std::string>& folders) {
  if (!is_plain_path(path)) return denied("is not a plain absolute path");
  const auto folder =
      std::find_if(folders.begin(), folders.end(), [&](const std::string& each) { return contains(each, path); });
  if (folder == folders.end()) return denied("lies below none of the allowed folders");
  VMSEC_TRY(Fd found, walk(*folder, fs::path(path).parent_path().native()));
  if (!found.valid()) return fail(Code::not_found, "its folder is not there");
  struct stat status{};
  if (::fstat(found.get(), &status) != 0) return fail(errno_error("look at its folder", errno, Code::denied));
  if (!S_ISDIR(status.st_mode)) return denied("lies in " + std::string(kind_of(status.st_mode)));
  return found;
}

}  // namespace vmsec::common
