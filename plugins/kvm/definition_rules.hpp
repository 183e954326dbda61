// What may stand in the XML of a domain that a definition describes in full: what the definition says, and
// what libvirt adds to every domain. Everything else is a loss.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vmsec::kvm {

struct PlainAttribute {
  std::string_view name;
  std::vector<std::string_view> values;  // empty: any
};

struct PlainElement {
  std::vector<PlainAttribute> attributes;
  std::string_view text;  // empty: none; "*": any
  bool many = false;      // may stand there more than once
  bool whole = false;     // is lost as a whole, where a part of it is
};

// An element's step in a path is its name, with its type in brackets where the type decides what it is:
// "domain/devices/controller[pci]".
[[nodiscard]] bool is_plain_typed(std::string_view element);

// Null where nothing allows this path.
[[nodiscard]] const PlainElement* find_plain(std::string_view path);

// What each domain of a definition has: where it is missing, its absence is the loss.
[[nodiscard]] const std::vector<std::string_view>& always_there();

}  // namespace vmsec::kvm
