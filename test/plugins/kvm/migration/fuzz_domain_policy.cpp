// Any bytes as a domain's XML and as a migration cookie.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "copied_disks.hpp"
#include "domain_images.hpp"
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
  const auto accepted = check_domain(policy, expected, xml);
  // What is accepted names no device of the host, and can be looked at image by image.
  if (accepted && xml.find("<hostdev") != std::string::npos && xml.find("<metadata") == std::string::npos &&
      xml.find("<!--") == std::string::npos && xml.find("CDATA") == std::string::npos)
    std::abort();
  static_cast<void>(images_of(xml));
  // What is copied is a file of its own, by a path that needs no second look.
  if (auto disks = disks_to_copy(xml, {})) {
    for (auto& disk : *disks) disk.capacity = {1 << 20};
    if (const auto copied = copied_disks(xml, *disks))
      for (const auto& disk : *copied)
        if (!common::is_plain_path(disk.path)) std::abort();
  }
  // What is passed on of a cookie holds no domain: it says nothing new when it is looked at again.
  const auto without = without_definition(policy, expected, xml + '\0');
  if (without && without_definition(policy, expected, *without) != *without) std::abort();
  static_cast<void>(check_cookie(expected, xml + '\0', CookieOf::prepare));
  static_cast<void>(check_cookie(expected, xml + '\0', CookieOf::finish));
  static_cast<void>(check_cookie(expected, xml + '\0', CookieOf::finish, CookieDisks::wanted));
  return 0;
}
