// The file io.max of Linux's cgroup v2 (Documentation/admin-guide/cgroup-v2.rst, "IO").
#pragma once

#include <string>
#include <string_view>

#include "vmsec/capability/io_control.hpp"

namespace vmsec::xen {

// The line that sets a device ("7:0") to this limit; `target` and bursts are not in it.
std::string format_io_max(std::string_view device, const DiskLimit& limit);
// What the file says of a device; unlimited where it says nothing. `io` where it cannot be read so.
Result<DiskLimit> parse_io_max(std::string_view text, std::string_view device);

}  // namespace vmsec::xen
