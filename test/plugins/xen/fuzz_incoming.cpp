// Any bytes as a domain's configuration: an error, or one that is taken again as it was written.
#include <cstdint>
#include <cstdlib>

#include "incoming_policy.hpp"

using namespace vmsec;
using namespace vmsec::xen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const IncomingPolicy policy = *IncomingPolicy::from_settings({{"incoming.disk_roots", "/srv/vmsec/disks"},
                                                                       {"incoming.kernel_roots", "/srv/vmsec/guest"},
                                                                       {"incoming.bridges", "br0"}});
  DomainDescription description;
  description.domain = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");
  description.name = "web";
  description.memory.value = 128ULL << 20;
  description.vcpus = 2;
  description.configuration.assign(reinterpret_cast<const char*>(data), size);
  const auto accepted = accept_configuration(policy, description, {});
  if (!accepted) {
    if (accepted.error().message.empty()) std::abort();
    return 0;
  }
  if (accepted->find("\"pcidevs\"") != std::string::npos || accepted->find("\"bootloader\"") != std::string::npos)
    std::abort();
  description.configuration = *accepted;
  const auto again = accept_configuration(policy, description, {});
  if (!again || *again != *accepted) std::abort();
  return 0;
}
