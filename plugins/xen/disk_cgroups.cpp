#include "disk_cgroups.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include "io_max.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::xen {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGroup = "/vmsec-disks";

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(errno_error("open " + path));
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Status write_text(const std::string& path, const std::string& text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return fail(errno_error("open " + path));
  // One write: the kernel takes a line at a time.
  if (::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return fail(errno_error("write \"" + text + "\" to " + path));
}

bool has_word(const std::string& text, std::string_view word) {
  std::istringstream words(text);
  const std::istream_iterator<std::string> first(words);
  return std::find(first, std::istream_iterator<std::string>(), word) != std::istream_iterator<std::string>();
}

std::vector<std::string> numbered_entries(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename();
    if (std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; })) out.push_back(name);
  }
  return out;
}

// blkback's threads are named "DOMID.TARGET-N", or "DOMID.TARGET" where there is one.
bool serves(const std::string& name, const std::string& stem) {
  return name == stem || (name.starts_with(stem + "-") && name.size() > stem.size() + 1);
}

bool has_backend(std::uint32_t domid) {
  const std::string prefix = "vbd-" + std::to_string(domid) + "-";
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/sys/bus/xen-backend/devices", ignored))
    if (entry.path().filename().string().starts_with(prefix)) return true;
  return false;
}

// Where `name` is "DOMID-TARGET".
bool parse_folder(const std::string& name, std::uint32_t& domid, std::string& target) {
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), domid);
  if (error != std::errc() || end == name.data() + name.size() || *end != '-') return false;
  target.assign(end + 1, name.data() + name.size());
  return !target.empty();
}

}  // namespace

DiskCgroups::DiskCgroups(std::string root, std::string proc) : root_(std::move(root)), proc_(std::move(proc)) {}

std::string DiskCgroups::folder_of(std::uint32_t domid, const std::string& target) const {
  return root_ + kGroup + "/" + std::to_string(domid) + "-" + target;
}

Status DiskCgroups::prepare(const std::string& folder) const {
  const auto controllers = read_text(root_ + "/cgroup.controllers");
  if (!controllers || !has_word(*controllers, "io"))
    return fail(Code::unsupported, "this dom0 has no io controller of cgroup v2 at " + root_);
  VMSEC_CHECK(write_text(root_ + "/cgroup.subtree_control", "+io"));
  std::error_code error;
  fs::create_directories(root_ + kGroup, error);
  VMSEC_CHECK(write_text(root_ + kGroup + "/cgroup.subtree_control", "+io"));
  fs::create_directories(folder, error);
  if (error) return fail(errno_error("make " + folder, error.value()));
  return {};
}

Result<std::size_t> DiskCgroups::gather(std::uint32_t domid, const std::string& target) const {
  const std::string folder = folder_of(domid, target);
  const std::string stem = std::to_string(domid) + "." + target;
  VMSEC_TRY(const std::string there, read_text(folder + "/cgroup.procs"));
  std::size_t count = 0;
  for (const std::string& pid : numbered_entries(proc_)) {
    auto name = read_text(proc_ + "/" + pid + "/comm");
    if (!name) continue;  // it has ended
    while (name->ends_with('\n')) name->pop_back();
    if (!serves(*name, stem)) continue;
    // A process can give itself any name; a thread of the kernel has no program.
    std::error_code ignored;
    if (fs::is_symlink(proc_ + "/" + pid + "/exe", ignored) &&
        !fs::read_symlink(proc_ + "/" + pid + "/exe", ignored).empty())
      continue;
    ++count;
    if (!has_word(there, pid)) VMSEC_CHECK(write_text(folder + "/cgroup.procs", pid));
  }
  return count;
}

Result<DiskLimit> DiskCgroups::read(const BackendDisk& disk) const {
  const std::string path = folder_of(disk.domid, disk.target) + "/io.max";
  DiskLimit out;
  if (std::error_code ignored; fs::exists(path, ignored)) {
    VMSEC_TRY(const std::string text, read_text(path));
    VMSEC_TRY(out, parse_io_max(text, disk.device));
  }
  out.target = disk.target;
  return out;
}

Status DiskCgroups::write(const BackendDisk& disk, const DiskLimit& limit) {
  if (limit.read_burst.value != 0 || limit.write_burst.value != 0 || limit.burst_seconds != 0)
    return fail(Code::unsupported, "the kernel's io.max, which bounds a disk under Xen, knows no bursts");
  const std::lock_guard lock(mutex_);
  const std::string folder = folder_of(disk.domid, disk.target);
  VMSEC_CHECK(prepare(folder));
  // First the bound, then who is bound: at no time is there more than asked for.
  VMSEC_CHECK(write_text(folder + "/io.max", format_io_max(disk.device, limit)));
  VMSEC_TRY(const std::size_t threads, gather(disk.domid, disk.target));
  if (threads == 0) {
    std::error_code ignored;
    fs::remove(folder, ignored);
    return fail(Code::unsupported,
                "no thread of blkback serves it (a disk that QEMU serves, or that the guest has not "
                "connected, cannot be bounded)");
  }
  VMSEC_TRY(DiskLimit is, read(disk));
  if (is != limit) return fail(Code::internal, "the limit did not take: " + format_io_max(disk.device, is));
  return {};
}

void DiskCgroups::keep() {
  const std::lock_guard lock(mutex_);
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_ + kGroup, ignored)) {
    std::uint32_t domid = 0;
    std::string target;
    if (!entry.is_directory(ignored) || !parse_folder(entry.path().filename(), domid, target)) continue;
    const auto threads = gather(domid, target);
    // Without threads the guest may be about to connect anew; without backend the domain is gone.
    if (threads && *threads == 0 && !has_backend(domid)) fs::remove(entry.path(), ignored);
  }
}

}  // namespace vmsec::xen
