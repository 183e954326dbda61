// DomainControl over libvirt.
#include <algorithm>
#include <cstdlib>

#include "context.hpp"
#include "domain.hpp"
#include "qemu_process.hpp"
#include "units.hpp"
#include "vcpu_count.hpp"

namespace vmsec::kvm {
namespace {

// Does it come in by a migration, or start? Then libvirt would let a question to QEMU wait for the end of that, for 30
// s at most. (A source at its switch-over has the same reason; its disks are unknown for that moment.)
bool is_arriving(virDomainPtr domain) {
  int state = VIR_DOMAIN_NOSTATE;
  int reason = 0;
  if (virDomainGetState(domain, &state, &reason, 0) < 0) return false;
  return state == VIR_DOMAIN_PAUSED &&
         (reason == VIR_DOMAIN_PAUSED_MIGRATION || reason == VIR_DOMAIN_PAUSED_STARTING_UP);
}

// The capacity of a disk, 0 where libvirt cannot tell (a drive without a medium).
Bytes capacity_of(virDomainPtr domain, const XmlDisk& disk) {
  virDomainBlockInfo info{};
  if (disk.source.empty() || virDomainGetBlockInfo(domain, disk.target.c_str(), &info, 0) < 0) return {};
  return {info.capacity};
}

// Of the vCPUs alone: virDomainInfo's counts QEMU's own threads too. It is the
// answer still where the hypervisor does not tell the vCPUs apart.
Microseconds vcpu_time(virDomainPtr domain, const virDomainInfo& info) {
  std::vector<virVcpuInfo> vcpus(info.nrVirtCpu);
  const int count = virDomainGetVcpus(domain, vcpus.data(), static_cast<int>(vcpus.size()), nullptr, 0);
  std::uint64_t nanoseconds = 0;
  for (int i = 0; i < count; ++i) nanoseconds += vcpus[static_cast<std::size_t>(i)].cpuTime;
  return {(nanoseconds != 0 ? nanoseconds : info.cpuTime) / 1000};
}

// Nobody is asked: libvirt's word for it would be QEMU's, and one that hangs would hold up every list.
std::optional<Microseconds> steal_of(const DomainInfo& info, const std::string& run_dir) {
  const auto process = find_qemu(run_dir, info.name, info.domain);
  return process ? vcpu_steal(*process) : std::nullopt;
}

Result<DomainInfo> info_of(virDomainPtr domain, std::string_view operation, const Context& context) {
  DomainInfo out;
  std::array<std::uint8_t, 16> uuid{};
  if (virDomainGetUUID(domain, uuid.data()) < 0) return fail(virt_error(operation));
  out.domain = Uuid(uuid);
  out.name = name_of(domain);
  virDomainInfo info{};
  if (virDomainGetInfo(domain, &info) < 0) return fail(virt_error(operation));
  out.state = state_of(info.state);
  out.vcpus = info.nrVirtCpu;
  VMSEC_TRY(out.vcpus_maximum, vcpus_maximum_of(domain, std::string(operation)));
  out.memory_maximum.value = info.maxMem * common::kKibibyte;
  if (out.state != DomainState::shut_off) {
    out.memory.value = info.memory * common::kKibibyte;
    out.cpu_time = vcpu_time(domain, info);
    out.cpu_steal = steal_of(out, context.setting("libvirt_run_dir", kUsualRunDir));
  }
  VMSEC_TRY(const DomainXml xml, xml_of(domain, operation));
  const bool silent = context.waiting.contains(out.domain) || is_arriving(domain);
  for (const auto& disk : xml.disks)
    out.disks.push_back({disk.target, disk.source, silent ? Bytes{} : capacity_of(domain, disk)});
  for (const auto& nic : xml.nics) out.nics.push_back({nic.target, nic.mac});
  out.tpm = xml.tpm;
  out.tags = xml.tags;
  const int persistent = virDomainIsPersistent(domain);
  if (persistent < 0) return fail(virt_error(operation));
  out.persistent = persistent == 1;
  return out;
}

class KvmDomainControl final : public DomainControl {
 public:
  explicit KvmDomainControl(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<DomainList> list(const Empty&) override {
    const auto lease = context_->connection->lease();
    if (!lease) return fail(lease.error().in("list domains"));
    virDomainPtr* raw = nullptr;
    const int count = virConnectListAllDomains(lease->get(), &raw, 0);
    if (count < 0) return fail(virt_error("list domains"));
    const std::unique_ptr<virDomainPtr, decltype(&std::free)> array(raw, &std::free);
    std::vector<DomainPtr> domains;
    for (int i = 0; i < count; ++i) domains.emplace_back(raw[i]);
    DomainList out;
    for (const auto& domain : domains) {
      auto info = info_of(domain.get(), "list domains", *context_);
      if (info) {
        out.domains.push_back(std::move(*info));
      } else if (info.error().code != Code::not_found) {  // it went away meanwhile
        return fail(info.error());
      }
    }
    std::ranges::sort(out.domains, {}, &DomainInfo::name);
    return out;
  }

  Result<DomainInfo> get(const DomainRef& request) override {
    const std::string operation = "get domain " + request.domain.text();
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(request.domain, operation));
    return info_of(domain.get(), operation, *context_);
  }

  Result<Empty> pause(const DomainRef& request) override {
    const std::string operation = "pause " + request.domain.text();
    return change(request.domain, operation, DomainState::paused, virDomainSuspend);
  }

  Result<Empty> resume(const DomainRef& request) override {
    const std::string operation = "resume " + request.domain.text();
    return change(request.domain, operation, DomainState::running, virDomainResume);
  }

 private:
  Result<Empty> change(const Uuid& uuid, const std::string& operation, DomainState wanted, int (*act)(virDomainPtr)) {
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(uuid, operation));
    const std::string named = operation + " (" + name_of(domain.get()) + ")";
    // Held until libvirt has answered: a migration cannot take the domain between
    // the question and the act.
    VMSEC_TRY(const HeldDomains::Permit permit, context_->held.permit(uuid, named));
    VMSEC_CHECK(require_active(domain.get(), named));
    VMSEC_TRY(const DomainState state, state_of(domain.get(), named));
    if (state == wanted) return Empty{};
    if (act(domain.get()) < 0) {
      Error error = virt_error(named);
      // Another caller was faster: what was asked for is so.
      const auto now = state_of(domain.get(), named);
      if (error.code == Code::wrong_state && now && *now == wanted) return Empty{};
      return fail(std::move(error));
    }
    return Empty{};
  }

  std::shared_ptr<Context> context_;
};

}  // namespace

Result<std::unique_ptr<DomainControl>> make_domain_control(std::shared_ptr<Context> context) {
  return std::unique_ptr<DomainControl>(std::make_unique<KvmDomainControl>(std::move(context)));
}

}  // namespace vmsec::kvm
