// Interchange over libvirt.
//
// libvirt's define replaces a domain of the same UUID and name. So define() looks for both first, under a lock
// that all calls of this backend share: what is left is another client of the same libvirtd (virsh) that
// defines the same UUID under the same name in that moment. The same name under another UUID, or the same UUID
// under another name, libvirt refuses itself at any moment.
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "context.hpp"
#include "definition.hpp"
#include "definition_xml.hpp"
#include "domain.hpp"
#include "text.hpp"

namespace vmsec::kvm {
namespace {

using TextPtr = std::unique_ptr<char, decltype(&std::free)>;

// libvirt itself would say so only when the domain starts.
Status check_host_gives(const DomainDefinition& definition, const DomainHost& host) {
  if (definition.boot.firmware == Firmware::uefi && !host.uefi)
    return fail(Code::not_found, "boot.firmware: libvirt finds no UEFI firmware on this host (Debian: ovmf)");
  if (definition.tpm && !host.tpm)
    return fail(Code::not_found, "tpm: libvirt finds no emulator of TPMs on this host (Debian: swtpm, swtpm-tools)");
  return {};
}

// libvirt's types are "file" and "block": a device goes by its path below /dev, a file lies elsewhere.
Status check_disk_types(const DomainDefinition& definition) {
  for (const auto& disk : definition.disks) {
    std::error_code error;
    const bool device = std::filesystem::is_block_file(disk.source, error);
    if (device == is_device_path(disk.source)) continue;
    return fail(Code::invalid_argument, "disk." + disk.target + ".source: " + disk.source +
                                            (device ? " is a block device: name it by its path below /dev"
                                                    : " is no block device: only those may lie below /dev"));
  }
  return {};
}

// libvirt's count of something, 0 wanted.
Status expect_none(int count, const std::string& operation, const std::string& what) {
  if (count < 0) return fail(virt_error(operation));
  if (count == 0) return {};
  return fail(Code::wrong_state, operation + ": it has " + what);
}

Status expect_no_saved_memory(virDomainPtr domain, const std::string& operation) {
  return expect_none(virDomainHasManagedSaveImage(domain, 0), operation,
                     "memory that was saved (virsh managedsave): start it, or drop that image, by virsh");
}

Status expect_off(virDomainPtr domain, const std::string& operation) {
  VMSEC_TRY(const DomainState state, state_of(domain, operation));
  if (state != DomainState::shut_off) return fail(Code::wrong_state, operation + ": it is not shut off");
  return expect_no_saved_memory(domain, operation);
}

// The domain went on at another host: started here it would run twice.
Status expect_not_moved(virDomainPtr domain, const std::string& operation) {
  int state = VIR_DOMAIN_NOSTATE;
  int reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) < 0) return fail(virt_error(operation));
  if (state != VIR_DOMAIN_SHUTOFF || reason != VIR_DOMAIN_SHUTOFF_MIGRATED) return {};
  return fail(Code::wrong_state, operation + ": it has moved to another host");
}

Status expect_free(virDomainPtr found, const std::string& operation, const std::string& what) {
  const DomainPtr domain(found);
  if (domain) return fail(Code::already_exists, operation + ": a domain of this host has " + what);
  const Error error = virt_error(operation);
  return error.code == Code::not_found ? Status() : Status(fail(error));
}

class KvmInterchange final : public Interchange {
 public:
  KvmInterchange(std::shared_ptr<Context> context, std::string type)
      : context_(std::move(context)), type_(std::move(type)) {}

  Result<Translation> translate(const DomainDefinition& definition) override {
    const std::string operation = "translate definition " + shown_name(definition);
    if (const auto sound = common::check_definition(definition); !sound) return fail(sound.error().in(operation));
    VMSEC_TRY(const DomainHost host, domain_host(operation));
    return to_libvirt_xml(definition, host);
  }

  Result<DomainRef> define(const DefineDomain& request) override {
    const DomainDefinition& definition = request.definition;
    const std::string operation = "define " + request.domain.text() + " (" + shown_name(definition) + ")";
    if (const auto sound = common::check_definition(definition); !sound) return fail(sound.error().in(operation));
    VMSEC_TRY(const DomainHost host, domain_host(operation));
    const Translation translation = to_libvirt_xml(definition, host);
    Status checked = common::check_define(request, translation.losses);
    if (checked) checked = check_host_gives(definition, host);
    if (checked) checked = check_disk_types(definition);
    if (!checked) return fail(checked.error().in(operation));
    const std::lock_guard lock(mutex_);
    // A migration that is not decided may have its memory: then it is no new domain.
    VMSEC_TRY(const HeldDomains::Permit permit, context_->held.permit(request.domain, operation));
    VMSEC_CHECK(define_new(definition, translation.text, operation));
    return DomainRef{request.domain};
  }

  Result<Empty> start(const DomainRef& request) override {
    const std::string operation = "start " + request.domain.text();
    const std::lock_guard lock(mutex_);
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(request.domain, operation));
    const std::string named = operation + " (" + name_of(domain.get()) + ")";
    VMSEC_TRY(const HeldDomains::Permit permit, context_->held.permit(request.domain, named));
    VMSEC_CHECK(expect_off(domain.get(), named));
    VMSEC_CHECK(expect_not_moved(domain.get(), named));
    if (virDomainCreate(domain.get()) < 0) return fail(virt_error(named));
    return Empty{};
  }

  Result<Empty> undefine(const DomainRef& request) override {
    const std::string operation = "undefine " + request.domain.text();
    const std::lock_guard lock(mutex_);
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(request.domain, operation));
    const std::string named = operation + " (" + name_of(domain.get()) + ")";
    VMSEC_TRY(const HeldDomains::Permit permit, context_->held.permit(request.domain, named));
    VMSEC_CHECK(expect_off(domain.get(), named));
    VMSEC_CHECK(expect_none(virDomainSnapshotNum(domain.get(), 0), named, "snapshots: delete them by virsh"));
    VMSEC_CHECK(
        expect_none(virDomainListAllCheckpoints(domain.get(), nullptr, 0), named, "checkpoints: delete them by virsh"));
    // The disks stay; so does what they may be sealed to.
    constexpr unsigned kKeep = VIR_DOMAIN_UNDEFINE_KEEP_NVRAM | VIR_DOMAIN_UNDEFINE_KEEP_TPM;
    if (virDomainUndefineFlags(domain.get(), kKeep) < 0) return fail(virt_error(named));
    return Empty{};
  }

  Result<ExportedDomain> export_domain(const DomainRef& request) override {
    const std::string operation = "export " + request.domain.text();
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(request.domain, operation));
    VMSEC_TRY(const DomainHost host, domain_host(operation));
    const int persistent = virDomainIsPersistent(domain.get());
    if (persistent < 0) return fail(virt_error(operation));
    // What it is at its next start: that is what would be defined elsewhere. Without what is secret.
    const TextPtr xml(virDomainGetXMLDesc(domain.get(), persistent == 1 ? VIR_DOMAIN_XML_INACTIVE : 0), &std::free);
    if (xml == nullptr) return fail(virt_error(operation));
    auto exported = from_libvirt_xml(xml.get(), host);
    if (!exported) return fail(exported.error().in(operation));
    return exported;
  }

 private:
  static std::string shown_name(const DomainDefinition& definition) { return common::shown(definition.name); }

  // Asked each time: libvirtd may have been replaced, and answers from its memory.
  Result<DomainHost> domain_host(const std::string& operation) const {
    const auto lease = context_->connection->lease();
    if (!lease) return fail(lease.error().in(operation));
    const std::string machine(kMachine);
    const TextPtr xml(virConnectGetDomainCapabilities(lease->get(), nullptr, nullptr, machine.c_str(),
                                                      type_.empty() ? nullptr : type_.c_str(), 0),
                      &std::free);
    if (xml == nullptr) return fail(virt_error(operation));
    auto host = parse_domain_host(xml.get());
    if (!host) return fail(host.error().in(operation));
    return host;
  }

  Status define_new(const DomainDefinition& definition, const std::string& xml, const std::string& operation) const {
    const auto lease = context_->connection->lease();
    if (!lease) return fail(lease.error().in(operation));
    VMSEC_CHECK(
        expect_free(virDomainLookupByUUID(lease->get(), definition.domain.bytes().data()), operation, "this UUID"));
    VMSEC_CHECK(expect_free(virDomainLookupByName(lease->get(), definition.name.c_str()), operation, "this name"));
    const DomainPtr made(virDomainDefineXMLFlags(lease->get(), xml.c_str(), VIR_DOMAIN_DEFINE_VALIDATE));
    return made ? Status() : Status(fail(virt_error(operation)));
  }

  std::shared_ptr<Context> context_;
  std::string type_;  // empty: libvirt's choice
  std::mutex mutex_;
};

}  // namespace

Result<std::unique_ptr<Interchange>> make_interchange(std::shared_ptr<Context> context) {
  const std::string type = context->setting("domain_type", "");
  if (!type.empty() && type != "kvm" && type != "qemu")
    return fail(Code::invalid_argument, "backend setting \"domain_type\": " + type + " is neither kvm nor qemu");
  return std::unique_ptr<Interchange>(std::make_unique<KvmInterchange>(std::move(context), type));
}

}  // namespace vmsec::kvm
