// The rules of domain_policy.hpp: what may stand in a domain's XML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vmsec::kvm {

// What a value may be.
enum class ValueKind {
  none,      // nothing but white space
  token,     // letters, digits and _ . , : + - ^ =: never a path
  any,       // free text that only the guest sees
  action,    // what follows when a guest ends: nothing that writes files
  emulator,  // paths and names: as the policy's lists say
  disk,
  device,
  kernel,
  firmware,
  nvram,
  file,
  bridge,
  network,
  tap,
  listen,
  random,     // /dev/random or /dev/urandom
  partition,  // libvirt's place in the cgroup tree
  uuid,       // the expected domain's
  name,
};

struct AttributeRule {
  std::string_view name;
  ValueKind kind = ValueKind::token;
  std::vector<std::string_view> values;  // for tokens: any of these; empty: any token
};

struct ElementRule {
  std::vector<AttributeRule> attributes;
  ValueKind text = ValueKind::none;
  bool opaque = false;  // whatever is below is for others than the hypervisor
};

// An element's step in a path is its name, with its type in brackets where the
// type decides what it is: "disk[file]".
[[nodiscard]] bool is_typed(std::string_view element);

// Null where nothing allows this path.
[[nodiscard]] const ElementRule* find_rule(std::string_view path);

}  // namespace vmsec::kvm
