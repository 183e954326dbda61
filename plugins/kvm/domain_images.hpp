// The disk images of a domain that comes from elsewhere, as they are on this host.
//
// An image's header can name further files, which QEMU opens whatever the XML
// says. So each header is read, and what it names must be what the XML names.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain_policy.hpp"
#include "host_path.hpp"

namespace vmsec::kvm {

using common::PathUse;

// One file or device of a disk's chain.
struct DomainImage {
  std::string place;  // in the XML, for messages
  std::string path;
  std::string format;
  PathUse use = PathUse::data;
  std::optional<std::string> backing;  // what the XML says is below it
};

// Of a domain that check_domain() accepts. `denied` where the XML leaves open
// what QEMU is to open, or as what.
Result<std::vector<DomainImage>> images_of(std::string_view xml);

// Looks at each image. `denied` for one that is not there, cannot be read, is not
// of the format that the XML says, or names a file that the XML does not.
Status check_images(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view xml);

}  // namespace vmsec::kvm
