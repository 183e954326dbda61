// What vmsec reads of libvirt's domain XML.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::kvm {

struct XmlDisk {
  std::string target;  // "vda"
  std::string source;  // file, device or network name; empty for a drive without a medium
};

struct XmlNic {
  std::string target;  // "vnet0"; libvirt may choose it when the domain starts
  std::string mac;
};

struct XmlChannel {
  std::string name;    // of the serial port in the guest
  std::string socket;  // the Unix socket that QEMU listens on; empty: another kind of end, or the domain is off
};

struct DomainXml {
  std::string type;  // of virtualisation: "kvm", "qemu"
  std::string name;
  std::string uuid;
  std::string machine;        // "pc-i440fx-7.2"
  std::string memory_source;  // of memoryBacking: "memfd", "file", "anonymous" or empty
  bool memory_shared = false;
  bool memory_simple = true;  // no NUMA cells, no hot-plugged memory
  bool tpm = false;
  std::vector<XmlDisk> disks;
  std::vector<XmlNic> nics;
  std::vector<XmlChannel> channels;  // of virtio
  std::vector<std::string> tags;
};

// The namespace of the element <tags> below <metadata>.
inline constexpr std::string_view kTagsNamespace = "https://vmsec.example/domain/1";

// The longest XML that is looked at.
inline constexpr std::size_t kMaximumDomainXml = 1 << 20;

// `invalid_argument` for what is not a domain's XML. Loads nothing that the XML
// refers to, and refuses a document type (entities have no place here).
Result<DomainXml> parse_domain_xml(std::string_view xml);

}  // namespace vmsec::kvm
