// This host's own policy for domains that come from elsewhere.
//
// A domain's XML decides what QEMU opens and runs on this host, mostly as root.
// So nothing is taken from a peer that is not listed here: every element and
// attribute has a rule (domain_policy_rules.cpp), and what has none is refused.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/types.hpp"

namespace vmsec::kvm {

// From the settings "incoming.<name>", lists separated by commas. What is not
// set is empty, and an empty list allows nothing; emulators, firmware_roots,
// nvram_roots and listen have defaults.
struct IncomingPolicy {
  std::vector<std::string> emulators;       // programs
  std::vector<std::string> disk_roots;      // folders for disks and their backing files
  std::vector<std::string> copy_roots;      // of these, where images of disks that come along may be made
  std::vector<std::string> kernel_roots;    // for kernel and initrd
  std::vector<std::string> firmware_roots;  // for loaders and templates of nvram
  std::vector<std::string> nvram_roots;
  std::vector<std::string> file_roots;  // for what serial ports and consoles write
  std::vector<std::string> bridges;
  std::vector<std::string> networks;    // libvirt's
  std::vector<std::string> tap_prefix;  // of host devices' names
  std::vector<std::string> listen;      // addresses for VNC

  static Result<IncomingPolicy> from_settings(const std::map<std::string, std::string>& settings);
};

struct ExpectedDomain {
  Uuid uuid;
  std::string name;
};

// `denied`, with the XML's path and the cause, for what the policy does not
// allow or a domain that is not the expected one; `invalid_argument` for what
// is no XML.
Status check_domain(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view xml);

// The two hosts' libvirts exchange cookies beside the calls' arguments. Prepare's,
// in both directions, has to say what each can do: libvirt 9.0 dies without it.
enum class CookieOf { prepare, finish };
// What a cookie says of disks that are copied. Finish's, from the source: without it libvirt
// would leave the destination's disks open to the source.
enum class CookieDisks { none, maybe, wanted };
// The cookie as libvirtd may have it, or why it may not.
Result<std::string> check_cookie(const ExpectedDomain& expected, std::string_view cookie, CookieOf call,
                                 CookieDisks disks = CookieDisks::none);

// A source's cookie may hold the definition to keep for the domain's next start.
// Neither the ticket nor the check of the running domain covers that one: it is
// taken out, and libvirt keeps what it runs. One beyond the policy is refused.
Result<std::string> without_definition(const IncomingPolicy& policy, const ExpectedDomain& expected,
                                       std::string_view cookie);

}  // namespace vmsec::kvm
