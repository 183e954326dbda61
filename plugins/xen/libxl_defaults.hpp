// The keys of libxl's JSON that say nothing of a domain: what libxl, or xl, writes by itself, and what to_libxl_json()
// writes for each domain.
#pragma once

#include <span>
#include <string_view>

namespace vmsec::xen {

struct Silent {
  std::string_view path;   // "disks[].backend"
  std::string_view words;  // the values that say nothing, with a space at both ends of each
};

std::span<const Silent> silent_keys();

}  // namespace vmsec::xen
