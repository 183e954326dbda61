// Paths of this host that a peer names.
//
// What is checked here is used later, by path, by the hypervisor's programs: whoever may
// write a folder can exchange what lies in it in between. So where others can
// write (shared storage) the mount has to refuse what these checks refuse:
// docs/threat-model.md says which options.
#pragma once

#include <string>
#include <vector>

#include "vmsec/fd.hpp"
#include "vmsec/result.hpp"

namespace vmsec::common {

// Absolute, without "." and "..", doubled or trailing slashes.
bool is_plain_path(const std::string& path);

// Whether a plain absolute path lies below one of the folders, both as written
// and with symbolic links followed: a link below a folder may point anywhere.
bool lies_below(const std::string& path, const std::vector<std::string>& folders);

// What a path that lies below a folder may be. An error says what it is instead.
enum class PathUse {
  data,     // a regular file that no symbolic link below the folder leads to
  program,  // a regular file, perhaps by links within the folder: what the host's own packages bring
  device,   // a block device of this host's own /dev, perhaps by a name that udev gave it: /dev/vg0/web
};
// What is not there yet is no error: some hypervisors make files themselves.
Status check_use(const std::string& path, const std::vector<std::string>& folders, PathUse use);

// Opens an existing file or device for reading, under the same rule.
Result<Fd> open_for_check(const std::string& path, const std::vector<std::string>& folders, PathUse use);

// The folder in which a file of this path lies, or is to lie: one of the folders or, by no
// symbolic link, one below. `not_found` where there is no such folder. For the *at() calls.
Result<Fd> open_folder_for(const std::string& path, const std::vector<std::string>& folders);

}  // namespace vmsec::common
