// A definition as libxl's own JSON, libxl_domain_config of Xen 4.17, and back. Pure: asks no libxl and no host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmsec/capability/interchange.hpp"

namespace vmsec::xen {

inline constexpr std::string_view kJsonFormat = "libxl-json";

// Of a definition that is one (find_flaw). What is lost is not in the text.
Translation to_libxl_json(const DomainDefinition& definition);

// `invalid_argument` for what libxl would not read as a configuration, `limit_exceeded` for far too much of it,
// `unsupported` for a domain that no definition can name or size. A guest of the kind pvh is `usual`.
Result<ExportedDomain> from_libxl_json(const std::string& text);

// What libxl keeps beside a domain that it has built, as what the domain is now.
struct LiveDomain {
  std::string name;
  std::string pool;  // of CPUs, that the host put it in by itself: no word of the domain's
  std::vector<std::string> vdevs;
  std::vector<std::string> macs;
};
// `built`: the JSON that it was built with, and whatever was attached since.
Result<std::string> as_it_is_now(const std::string& built, const LiveDomain& now);

}  // namespace vmsec::xen
