// What a configuration from elsewhere may hold, key by key: libxl's own names
// (tools/libs/light/libxl_types.idl of Xen 4.17).
#pragma once

#include <span>
#include <string_view>

namespace vmsec::xen {

enum class ValueKind {
  number,
  flag,       // libxl's "True", "False", "<default>", or a JSON boolean
  word,       // letters, digits, and _ - : . < >
  text,       // that libxl hands to the guest and nobody else
  one_of,     // of the rule's own words
  vcpu_list,  // numbers below the description's
  name,       // the domain's
  uuid,
  vcpus,   // the description's number
  memory,  // KiB: the description's
  memory_at_most,
  disk,    // a path below incoming.disk_roots
  kernel,  // a path below incoming.kernel_roots
  vdev,    // xvda to xvdzz, and a partition
  bridge,
};

struct Rule {
  std::string_view path;  // "disks[].vdev"
  ValueKind kind;
  std::string_view words = {};  // of one_of, with a space at both ends of each
};

std::span<const Rule> incoming_rules();

}  // namespace vmsec::xen
