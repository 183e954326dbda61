#include "incoming_images.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <fstream>
#include <map>

#include "host_path.hpp"
#include "run_program.hpp"
#include "text.hpp"

namespace vmsec::kvm {

namespace {

constexpr mode_t kImageMode = 0600;
constexpr std::size_t kNoteLimit = 1 << 20;

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Error about(const Error& error, const CopiedDisk& disk) {
  return error.in("make an image for disk " + disk.target + ", " + common::shown(disk.path));
}

Status sync_folder(const std::string& path) {
  const Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid() || ::fsync(folder.get()) != 0) return fail(errno_error("write folder " + path));
  return {};
}

Status unlink_if_there(const Fd& folder, const std::string& name) {
  if (::unlinkat(folder.get(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return fail(errno_error("remove " + name));
}

// Whether both names are of one file.
bool same_file(const Fd& folder, const std::string& a, const std::string& b) {
  struct stat first{};
  struct stat second{};
  return ::fstatat(folder.get(), a.c_str(), &first, AT_SYMLINK_NOFOLLOW) == 0 &&
         ::fstatat(folder.get(), b.c_str(), &second, AT_SYMLINK_NOFOLLOW) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

}  // namespace

IncomingImages::IncomingImages(const std::string& state_dir, std::vector<std::string> roots, const Uuid& migration)
    : roots_(std::move(roots)), folder_(state_dir), note_(state_dir + "/images-" + migration.text()) {
  std::string id = migration.text();
  std::erase(id, '-');
  suffix_ = ".vmsec-" + id;
}

Status IncomingImages::create(const std::vector<CopiedDisk>& disks, Owner owner) const {
  if (disks.empty()) return {};
  VMSEC_CHECK(check_room(disks));
  VMSEC_CHECK(write_note(disks));
  for (const CopiedDisk& disk : disks) {
    const Status made = create_one(disk, owner);
    if (made) continue;
    const Status removed = discard();
    const Error cause = about(made.error(), disk);
    return removed ? fail(cause) : fail(cause.code, cause.message + "; " + removed.error().message);
  }
  return {};
}

// Sparse, they would fail only when the guest's disk is half here.
Status IncomingImages::check_room(const std::vector<CopiedDisk>& disks) const {
  std::map<unsigned long, std::uint64_t> wanted;
  for (const CopiedDisk& disk : disks) {
    if (own_name(name_of(disk.path)).size() > NAME_MAX)
      return fail(about(Error{Code::invalid_argument, "its name is too long", 0, {}}, disk));
    const auto folder = common::open_folder_for(disk.path, roots_);
    if (!folder) return fail(about(folder.error(), disk));
    struct statvfs system{};
    if (::fstatvfs(folder->get(), &system) != 0) return fail(about(errno_error("look at its file system"), disk));
    const std::uint64_t free = std::uint64_t{system.f_bavail} * system.f_frsize;
    const std::uint64_t needed = wanted[system.f_fsid] += disk.capacity.value;
    if (needed > free)
      return fail(
          about(Error{Code::limit_exceeded,
                      std::to_string(needed) + " bytes exceed the " + std::to_string(free) + " that are free there",
                      0,
                      {}},
                disk));
  }
  return {};
}

Status IncomingImages::create_one(const CopiedDisk& disk, Owner owner) const {
  VMSEC_TRY(const Fd folder, common::open_folder_for(disk.path, roots_));
  const std::string name = name_of(disk.path);
  const std::string own = own_name(name);
  {
    const Fd made(::openat(folder.get(), own.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kImageMode));
    if (!made.valid()) return fail(errno_error("make " + own));
  }
  VMSEC_CHECK(fill(disk, folder_of(disk.path) + "/" + own));
  const Fd file(::openat(folder.get(), own.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error("open " + own));
  if (owner.uid != ::geteuid() && ::fchown(file.get(), owner.uid, owner.gid) != 0)
    return fail(errno_error("give it to QEMU's user"));
  if (::fsync(file.get()) != 0) return fail(errno_error("write it"));
  if (::linkat(folder.get(), own.c_str(), folder.get(), name.c_str(), 0) == 0) return {};
  if (errno != EEXIST) return fail(errno_error("name it"));
  return fail(Code::already_exists, "something is there already, and is not written over");
}

Status IncomingImages::fill(const CopiedDisk& disk, const std::string& path) const {
  if (disk.format == "raw") {
    if (::truncate(path.c_str(), static_cast<off_t>(disk.capacity.value)) == 0) return {};
    return fail(errno_error("give it its size"));
  }
  const auto done = common::run_program(
      {"qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1", path, std::to_string(disk.capacity.value)});
  if (!done) return fail(done.error());
  if (done->exit_code == 0) return {};
  return fail(Code::io, "qemu-img create: " + common::shown(common::trimmed(done->err)));
}

Status IncomingImages::discard() const {
  VMSEC_TRY(const auto paths, read_note());
  for (const std::string& path : paths) {
    const std::string what = "remove image " + path;
    const auto folder = common::open_folder_for(path, roots_);
    if (!folder && folder.error().code == Code::not_found) continue;
    if (!folder) return fail(folder.error().in(what));
    const std::string name = name_of(path);
    if (same_file(*folder, name, own_name(name)))
      if (const Status gone = unlink_if_there(*folder, name); !gone) return fail(gone.error().in(what));
    if (const Status gone = unlink_if_there(*folder, own_name(name)); !gone) return fail(gone.error().in(what));
  }
  return remove_note();
}

Status IncomingImages::keep() const {
  VMSEC_TRY(const auto paths, read_note());
  for (const std::string& path : paths)
    if (const auto folder = common::open_folder_for(path, roots_))
      VMSEC_CHECK(unlink_if_there(*folder, own_name(name_of(path))));
  return remove_note();
}

Status IncomingImages::write_note(const std::vector<CopiedDisk>& disks) const {
  if (folder_.empty()) return fail(Code::invalid_argument, "make images: this backend has no folder for its state");
  std::string text;
  for (const CopiedDisk& disk : disks) text += disk.path + "\n";
  const std::string fresh = note_ + ".new";
  {
    const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file.valid()) return fail(errno_error("write " + fresh));
    if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file.get()) != 0)
      return fail(errno_error("write " + fresh, errno, Code::io));
  }
  if (::rename(fresh.c_str(), note_.c_str()) != 0) return fail(errno_error("write " + note_));
  return sync_folder(folder_);
}

Result<std::vector<std::string>> IncomingImages::read_note() const {
  std::vector<std::string> paths;
  std::error_code failed;
  if (!std::filesystem::exists(note_, failed) && !failed) return paths;
  std::ifstream file(note_);
  std::string line;
  for (std::size_t size = 0; std::getline(file, line); size += line.size())
    if (size < kNoteLimit && !line.empty()) paths.push_back(line);
  if (file.bad() || !file.eof()) return fail(Code::io, "read " + note_);
  return paths;
}

Status IncomingImages::remove_note() const {
  if (::unlink(note_.c_str()) != 0) return errno == ENOENT ? Status() : Status(fail(errno_error("remove " + note_)));
  return sync_folder(folder_);
}

}  // namespace vmsec::kvm
