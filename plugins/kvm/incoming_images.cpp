#include "incoming_images.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <fstream>
#include <map>
#include <tuple>

#include "host_path.hpp"
#include "run_program.hpp"
#include "text.hpp"

namespace vmsec::kvm {

namespace {

constexpr mode_t kImageMode = 0600;
constexpr std::size_t kNoteLimit = 1 << 20;
constexpr std::string_view kAbandoned = ".abandoned";

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

ino_t inode_of(const Fd& folder) {
  struct stat status{};
  return ::fstat(folder.get(), &status) == 0 ? status.st_ino : 0;
}

// The open file itself, for calls that want a path: whoever else may write its folder can exchange what its name means.
std::string path_of(const Fd& file) {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(file.get());
}

Status fill(const CopiedDisk& disk, const Fd& file) {
  if (disk.format == "raw") {
    if (::ftruncate(file.get(), static_cast<off_t>(disk.capacity.value)) == 0) return {};
    return fail(errno_error("give it its size"));
  }
  const auto done = common::run_program({"qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1", path_of(file),
                                         std::to_string(disk.capacity.value)});
  if (!done) return fail(done.error());
  if (done->exit_code == 0) return {};
  return fail(Code::io, "qemu-img create: " + common::shown(common::trimmed(done->err)));
}

std::string note_of(const std::string& state_dir, const Uuid& migration) {
  return state_dir + "/images-" + migration.text();
}

}  // namespace

IncomingImages::IncomingImages(const std::string& state_dir, std::vector<std::string> roots, const Uuid& migration)
    : roots_(std::move(roots)), folder_(state_dir), note_(note_of(state_dir, migration)) {
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
    const Status removed = abandon();
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
  const Fd file(::openat(folder.get(), own.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kImageMode));
  if (!file.valid()) return fail(errno_error("make " + own));
  VMSEC_CHECK(fill(disk, file));
  if (owner.uid != ::geteuid() && ::fchown(file.get(), owner.uid, owner.gid) != 0)
    return fail(errno_error("give it to QEMU's user"));
  if (::fsync(file.get()) != 0) return fail(errno_error("write it"));
  if (::linkat(AT_FDCWD, path_of(file).c_str(), folder.get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return {};
  if (errno != EEXIST) return fail(errno_error("name it"));
  return fail(Code::already_exists, "something is there already, and is not written over");
}

Status IncomingImages::remove(const Noted& image) const {
  auto folder = common::open_folder_for(image.path, roots_);
  if (!folder && folder.error().code != Code::not_found) return fail(folder.error());
  if (!folder || inode_of(*folder) != image.folder)
    return fail(Code::unavailable,
                "the folder that it was made in is not there: mount it; or, where that is gone for "
                "good, remove " +
                    note_);
  const std::string name = name_of(image.path);
  if (same_file(*folder, name, own_name(name))) VMSEC_CHECK(unlink_if_there(*folder, name));
  return unlink_if_there(*folder, own_name(name));
}

Status IncomingImages::discard() const {
  VMSEC_TRY(const auto images, read_note());
  for (const Noted& image : images)
    if (const Status gone = remove(image); !gone) return fail(gone.error().in("remove image " + image.path));
  return remove_note();
}

Status IncomingImages::abandon() const {
  Status removed = discard();
  if (!removed) std::ignore = ::rename(note_.c_str(), (note_ + std::string(kAbandoned)).c_str());
  return removed;
}

void IncomingImages::sweep(const std::string& state_dir, const std::vector<std::string>& roots) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(state_dir, failed)) {
    const std::string name = entry.path().filename();
    constexpr std::string_view kPrefix = "images-";
    if (!name.starts_with(kPrefix) || !name.ends_with(kAbandoned)) continue;
    const std::size_t size = name.size() - kPrefix.size() - kAbandoned.size();
    const auto migration = Uuid::parse(name.substr(kPrefix.size(), size));
    if (!migration) continue;
    IncomingImages images(state_dir, roots, *migration);
    images.note_ = entry.path();
    std::ignore = images.discard();
  }
}

Status IncomingImages::keep() const {
  VMSEC_TRY(const auto images, read_note());
  for (const Noted& image : images)
    if (const auto folder = common::open_folder_for(image.path, roots_))
      VMSEC_CHECK(unlink_if_there(*folder, own_name(name_of(image.path))));
  return remove_note();
}

Status IncomingImages::write_note(const std::vector<CopiedDisk>& disks) const {
  if (folder_.empty()) return fail(Code::invalid_argument, "make images: this backend has no folder for its state");
  std::string text;
  for (const CopiedDisk& disk : disks) {
    VMSEC_TRY(const Fd folder, common::open_folder_for(disk.path, roots_));
    text += std::to_string(inode_of(folder)) + " " + disk.path + "\n";
  }
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

Result<std::vector<IncomingImages::Noted>> IncomingImages::read_note() const {
  std::vector<Noted> images;
  std::error_code failed;
  if (!std::filesystem::exists(note_, failed) && !failed) return images;
  if (failed || std::filesystem::file_size(note_, failed) > kNoteLimit || failed)
    return fail(Code::io, "read " + note_ + ": it is not what was written");
  std::ifstream file(note_);
  Noted image;
  while (file >> image.folder && file.get() == ' ' && std::getline(file, image.path)) images.push_back(image);
  if (file.bad() || !file.eof() || images.empty())
    return fail(Code::io, "read " + note_ + ": it is not what was written");
  return images;
}

Status IncomingImages::remove_note() const {
  if (::unlink(note_.c_str()) != 0) return errno == ENOENT ? Status() : Status(fail(errno_error("remove " + note_)));
  return sync_folder(folder_);
}

}  // namespace vmsec::kvm
