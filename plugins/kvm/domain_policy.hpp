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

// The words of a list that is separated by commas.
std::vector<std::string> words_of(std::string_view list);

// Whether a plain absolute path lies below one of the folders, both as written
// and with symbolic links followed: a link below a folder may point anywhere.
bool lies_below(const std::string& path, const std::vector<std::string>& folders);

struct ExpectedDomain {
  Uuid uuid;
  std::string name;
};

// The running domain's definition, or the one that is kept for its next start.
enum class Definition { live, kept };

// `denied`, with the XML's path and the cause, for what the policy does not
// allow or a domain that is not the expected one; `invalid_argument` for what
// is no XML.
Status check_domain(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view xml,
                    Definition definition);

// The two hosts' libvirts exchange cookies beside the calls' arguments. A
// source's may hold a domain definition too.
enum class CookieFrom { source, destination };
Status check_cookie(const IncomingPolicy& policy, const ExpectedDomain& expected, std::string_view cookie,
                    CookieFrom from);

}  // namespace vmsec::kvm
