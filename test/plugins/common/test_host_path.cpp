// Names of block devices: what udev made counts, what others could make does not.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "host_path.hpp"

using vmsec::common::check_use;
using vmsec::common::PathUse;
namespace fs = std::filesystem;

namespace {

// A folder of names in /dev, as a volume group has one.
struct Names {
  explicit Names(const std::string& parent) : folder(parent + "/vmsec-test-" + std::to_string(::getpid())) {
    fs::create_directory(folder);
  }
  ~Names() { fs::remove_all(folder); }
  Names(const Names&) = delete;
  Names& operator=(const Names&) = delete;
  std::string link(const std::string& name, const std::string& to) const {
    fs::create_symlink(to, folder / name);
    return (folder / name).string();
  }
  const fs::path folder;
};

void skip(const std::string& why) { WARN("SKIPPED: " << why); }

std::string any_block_device() {
  for (const auto& entry : fs::directory_iterator("/dev"))
    if (entry.symlink_status().type() == fs::file_type::block) return entry.path().string();
  return {};
}

}  // namespace

TEST_CASE("a volume's name in an allowed folder of /dev is the device behind it, and no other link is") {
  const std::string device = any_block_device();
  if (::getuid() != 0 || device.empty()) return skip("needs root and a block device in /dev");
  const Names volumes("/dev");
  const std::vector<std::string> allowed{volumes.folder.string()};
  CHECK(check_use(volumes.link("web", device), allowed, PathUse::device));
  CHECK_FALSE(check_use(device, allowed, PathUse::device));
  CHECK_FALSE(check_use(volumes.link("file", "/etc/passwd"), allowed, PathUse::device));
  CHECK_FALSE(check_use(volumes.link("terminal", "/dev/null"), allowed, PathUse::device));
  CHECK_FALSE(check_use(volumes.link("data", device), allowed, PathUse::data));
}

TEST_CASE("a link in /dev/shm, where anybody can make one, leads to no device") {
  const std::string device = any_block_device();
  if (::getuid() != 0 || device.empty() || !fs::is_directory("/dev/shm"))
    return skip("needs root, a block device and /dev/shm");
  const Names shared("/dev/shm");
  const std::vector<std::string> allowed{shared.folder.string()};
  CHECK_FALSE(check_use(shared.link("web", device), allowed, PathUse::device));
  const std::string through = shared.link("dev", "/dev");
  CHECK_FALSE(check_use(through + device.substr(std::string("/dev").size()), allowed, PathUse::device));
}
