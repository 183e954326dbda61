// A definition as libvirt's domain XML, and back. What is carried and what is lost: README.md.
#pragma once

#include <string_view>

#include "domain_host.hpp"
#include "vmsec/capability/interchange.hpp"

namespace vmsec::kvm {

inline constexpr std::string_view kXmlFormat = "libvirt-xml";

// The namespace of the element <definition> below <metadata>: what a definition says by name that
// libvirt's XML says by silence.
inline constexpr std::string_view kDefinitionNamespace = "https://vmsec.example/definition/1";

// How libvirt wants it told of a disk: a path below /dev is a block device's.
[[nodiscard]] bool is_device_path(std::string_view path);

// Of a definition without flaws.
Translation to_libvirt_xml(const DomainDefinition& definition, const DomainHost& host);

// Any bytes. A loss for everything that a definition cannot say, and for what the domain lacks of what each
// definition's domain has: by its place, elements of one name counted from 1. What is lost is left out of the
// definition, so that one with losses may be no whole one. `invalid_argument` for what is no domain's XML,
// `limit_exceeded` for one with more losses than kMaximumLosses.
Result<ExportedDomain> from_libvirt_xml(std::string_view xml, const DomainHost& host);

inline constexpr std::size_t kMaximumLosses = 256;

}  // namespace vmsec::kvm
