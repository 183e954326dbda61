#include "vcpu_count.hpp"

#include "domain.hpp"

namespace vmsec::kvm {
namespace {

// What libvirt's words leave open: what to do.
std::string advice(Code code) {
  switch (code) {
    case Code::timeout:
      return "; the guest has not let go of its vCPUs (its kernel needs ACPI CPU hotplug), and may still do so: look "
             "again, then repeat it";
    case Code::unsupported:
      return "; vCPUs that the domain was started with stay, unless its XML has <vcpu ... hotpluggable='yes'> for them";
    default:
      return {};
  }
}

}  // namespace

Result<std::uint32_t> vcpus_maximum_of(virDomainPtr domain, const std::string& operation) {
  const int count = virDomainGetVcpusFlags(domain, VIR_DOMAIN_VCPU_MAXIMUM);
  if (count < 0) return fail(virt_error(operation));
  return static_cast<std::uint32_t>(count);
}

// QEMU 7.2 ends the thread of such a vCPU but keeps the rest, so libvirt never learns that it is gone; and each one
// that is plugged in anew writes beyond an array of the emulator.
Status check_unplug(virDomainPtr domain, const std::string& operation) {
  VMSEC_TRY(const DomainXml xml, xml_of(domain, operation));
  if (xml.type != "qemu") return {};
  return fail(Code::unsupported, operation +
                                     ": QEMU's emulation (a domain of type qemu) cannot take a vCPU away; hardware "
                                     "virtualisation (type kvm) can");
}

Status write_vcpus(virDomainPtr domain, std::uint32_t count, unsigned int flags, const std::string& operation) {
  // In the definition too they are such that can be taken away after the next start.
  if ((flags & VIR_DOMAIN_AFFECT_CONFIG) != 0) flags |= VIR_DOMAIN_VCPU_HOTPLUGGABLE;
  if (virDomainSetVcpusFlags(domain, count, flags) == 0) return {};
  Error error = virt_error(operation + ": number of vCPUs");
  // QEMU's words for a guest that has not begun to use ACPI's interface; libvirt gives them no code.
  if (error.message.find("unplug request for not supported device type") != std::string::npos) {
    error.code = Code::unsupported;
    error.message += "; the guest's kernel has no ACPI CPU hotplug, or has not got so far";
    return fail(std::move(error));
  }
  error.message += advice(error.code);
  return fail(std::move(error));
}

}  // namespace vmsec::kvm
