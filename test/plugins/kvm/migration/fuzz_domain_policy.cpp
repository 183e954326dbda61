// Any bytes as a domain's XML and as a migration cookie.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "domain_policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vmsec;
  using namespace vmsec::kvm;
  static const IncomingPolicy policy = *IncomingPolicy::from_settings({{"incoming.disk_roots", "/srv/vmsec/disks"},
                                                                       {"incoming.kernel_roots", "/srv/vmsec/guest"},
                                                                       {"incoming.file_roots", "/var/log/libvirt/qemu"},
                                                                       {"incoming.tap_prefix", "kmtap"}});
  static const ExpectedDomain expected{*Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6"), "km-web"};
  const std::string xml(reinterpret_cast<const char*>(data), size);
  const auto live = check_domain(policy, expected, xml, Definition::live);
  const auto kept = check_domain(policy, expected, xml, Definition::kept);
  // What is accepted running is accepted as a definition too, and neither names the host's secrets.
  if (live && !kept) std::abort();
  if (live && xml.find("<hostdev") != std::string::npos && xml.find("<metadata") == std::string::npos &&
      xml.find("<!--") == std::string::npos && xml.find("CDATA") == std::string::npos)
    std::abort();
  static_cast<void>(check_cookie(policy, expected, xml + '\0', CookieFrom::source));
  static_cast<void>(check_cookie(policy, expected, xml + '\0', CookieFrom::destination));
  return 0;
}
