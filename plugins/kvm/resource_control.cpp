// ResourceControl over libvirt: the cgroups of a domain, and its pinning.
#include <algorithm>

#include "context.hpp"
#include "cpu_limits.hpp"
#include "domain.hpp"
#include "typed_params.hpp"
#include "units.hpp"
#include "vcpu_count.hpp"
#include "vcpu_number.hpp"
#include "vcpu_pins.hpp"

namespace vmsec::kvm {
namespace {

constexpr std::uint64_t kMemoryGrain = 4096;  // the kernel counts in pages

std::string version_text(unsigned long number) {
  return std::to_string(number / 1'000'000) + "." + std::to_string(number / 1000 % 1000) + "." +
         std::to_string(number % 1000);
}

// libvirt says "operation invalid" both of a domain that is not running and of
// a cgroup controller that is not mounted.
Error cgroup_error(virDomainPtr domain, const std::string& operation) {
  Error error = virt_error(operation);
  if (error.code == Code::wrong_state && require_active(domain, operation)) error.code = Code::unsupported;
  return error;
}

struct Scheduler {
  std::uint64_t shares = 0;
  CpuBandwidth vcpu;
  CpuBandwidth global;
};

Result<Scheduler> read_scheduler(virDomainPtr domain, const std::string& operation) {
  int count = 0;
  const std::unique_ptr<char, decltype(&std::free)> type(virDomainGetSchedulerType(domain, &count), &std::free);
  if (type == nullptr) return fail(cgroup_error(domain, operation));
  TypedParams params(count);
  if (virDomainGetSchedulerParametersFlags(domain, params.data(), params.count(), VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(cgroup_error(domain, operation));
  Scheduler out;
  out.shares = params.unsigned_or_zero(VIR_DOMAIN_SCHEDULER_CPU_SHARES);
  out.vcpu = {params.unsigned_or_zero(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD),
              params.number(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA).value_or(-1)};
  out.global = {params.unsigned_or_zero(VIR_DOMAIN_SCHEDULER_GLOBAL_PERIOD),
                params.number(VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA).value_or(-1)};
  return out;
}

// In bytes; 0 is unlimited.
Result<std::uint64_t> read_memory_limit(virDomainPtr domain, const std::string& operation) {
  int count = 0;
  if (virDomainGetMemoryParameters(domain, nullptr, &count, VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(cgroup_error(domain, operation));
  TypedParams params(count);
  if (virDomainGetMemoryParameters(domain, params.data(), params.count(), VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(cgroup_error(domain, operation));
  const std::uint64_t kibibytes = params.unsigned_or_zero(VIR_DOMAIN_MEMORY_HARD_LIMIT);
  return kibibytes >= VIR_DOMAIN_MEMORY_PARAM_UNLIMITED ? 0 : kibibytes * common::kKibibyte;
}

struct Sizes {
  std::uint32_t host_cpus = 0;
  std::uint64_t host_memory = 0;
  std::uint32_t vcpus = 0;
  std::uint32_t vcpus_maximum = 0;
  std::uint64_t memory = 0;  // what the domain is configured to have
};

Status check_quota(std::uint32_t millis, const Sizes& sizes, const std::string& operation) {
  if (millis <= sizes.host_cpus * 1000) return {};
  return fail(Code::limit_exceeded, operation + ": a CPU quota of " + std::to_string(millis) +
                                        " thousandths exceeds the host's " + std::to_string(sizes.host_cpus) +
                                        " CPUs (" + std::to_string(sizes.host_cpus * 1000) + ")");
}

Status check_weight(std::uint32_t weight, const std::string& operation) {
  const WeightRange range = weight_range(host_cgroup_version());
  if (weight >= range.least && weight <= range.most) return {};
  return fail(Code::limit_exceeded, operation + ": a CPU weight of " + std::to_string(weight) + " is outside of " +
                                        std::to_string(range.least) + " to " + std::to_string(range.most));
}

Status check_memory(std::uint64_t bytes, const Sizes& sizes, const std::string& operation) {
  if (bytes == 0) return {};
  const std::string what = operation + ": a memory limit of " + std::to_string(bytes) + " bytes ";
  if (bytes < sizes.memory)
    return fail(Code::limit_exceeded,
                what + "is below the domain's own memory of " + std::to_string(sizes.memory) + " bytes");
  if (bytes > sizes.host_memory)
    return fail(Code::limit_exceeded, what + "exceeds the host's " + std::to_string(sizes.host_memory) + " bytes");
  return {};
}

// Only where the number changes: QEMU plugs in a paused guest too, but the guest takes no part in it.
Status check_vcpu_change(virDomainPtr domain, const Uuid& uuid, const HeldDomains& held, std::uint32_t wanted,
                         const Sizes& sizes, const std::string& operation) {
  VMSEC_CHECK(common::check_vcpus(wanted, sizes.vcpus_maximum, operation));
  if (wanted == sizes.vcpus) return {};
  if (held.is_held(uuid))
    return fail(Code::wrong_state, operation + ": it belongs to a migration that is not decided; its vCPUs stay");
  VMSEC_TRY(const DomainState state, state_of(domain, operation));
  if (state == DomainState::running) return wanted < sizes.vcpus ? check_unplug(domain, operation) : Status();
  return fail(Code::wrong_state,
              operation + ": it is paused, and a guest takes part in a change of its vCPUs: resume it");
}

class KvmResourceControl final : public ResourceControl {
 public:
  explicit KvmResourceControl(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<HostResources> host(const Empty&) override {
    const auto lease = context_->connection->lease();
    if (!lease) return fail(lease.error().in("get the host's resources"));
    return host_of(lease->get(), "get the host's resources");
  }

  Result<ResourceLimits> get(const DomainRef& request) override {
    const std::string operation = "get limits of " + request.domain.text();
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(request.domain, operation));
    VMSEC_CHECK(require_active(domain.get(), operation));
    VMSEC_TRY(const Sizes sizes, sizes_of(domain.get(), operation));
    return read(domain.get(), sizes, operation);
  }

  Result<Empty> set(const SetResources& request) override {
    std::string operation = "set limits of " + request.domain.text();
    VMSEC_TRY(const DomainPtr domain, context_->connection->domain(request.domain, operation));
    operation += " (" + name_of(domain.get()) + ")";
    VMSEC_CHECK(require_active(domain.get(), operation));
    VMSEC_TRY(const Sizes sizes, sizes_of(domain.get(), operation));
    VMSEC_CHECK(check(request.limits, sizes, operation));
    if (request.limits.vcpus)
      VMSEC_CHECK(
          check_vcpu_change(domain.get(), request.domain, context_->held, *request.limits.vcpus, sizes, operation));
    std::string done;
    const Status written = write(domain.get(), request.limits, sizes, operation, done);
    if (!written) {
      Error error = written.error();
      if (!done.empty()) error.message += " (set before:" + done + ")";
      return fail(std::move(error));
    }
    // With the number of vCPUs of now: a quota is divided by it.
    VMSEC_TRY(const Sizes after, sizes_of(domain.get(), operation));
    VMSEC_CHECK(verify(domain.get(), request.limits, after, operation));
    // Of the other limits libvirt itself tells.
    if (after.vcpus != sizes.vcpus)
      context_->events->push(EventKind::limits_changed, request.domain, name_of(domain.get()), "number of vCPUs");
    return Empty{};
  }

 private:
  static Result<HostResources> host_of(virConnectPtr connect, const std::string& operation) {
    virNodeInfo node{};
    if (virNodeGetInfo(connect, &node) < 0) return fail(virt_error(operation));
    HostResources out;
    out.cpus = node.cpus;
    out.memory.value = std::uint64_t{node.memory} * common::kKibibyte;
    unsigned long hypervisor = 0;
    unsigned long library = 0;
    if (virConnectGetVersion(connect, &hypervisor) < 0 || virConnectGetLibVersion(connect, &library) < 0)
      return fail(virt_error(operation));
    const char* type = virConnectGetType(connect);
    out.hypervisor = std::string(type == nullptr ? "?" : type) + " " + version_text(hypervisor) + " by libvirt " +
                     version_text(library);
    return out;
  }

  static Result<Sizes> sizes_of(virDomainPtr domain, const std::string& operation) {
    virDomainInfo info{};
    if (virDomainGetInfo(domain, &info) < 0) return fail(virt_error(operation));
    VMSEC_TRY(const HostResources host, host_of(virDomainGetConnect(domain), operation));
    VMSEC_TRY(const std::uint32_t maximum, vcpus_maximum_of(domain, operation));
    return Sizes{host.cpus, host.memory.value, info.nrVirtCpu, maximum, std::uint64_t{info.maxMem} * common::kKibibyte};
  }

  static Status check(const ResourceLimits& limits, const Sizes& sizes, const std::string& operation) {
    const std::uint32_t vcpus = limits.vcpus.value_or(sizes.vcpus);
    if (limits.cpu_weight) VMSEC_CHECK(check_weight(*limits.cpu_weight, operation));
    if (limits.cpu_quota_millis) {
      VMSEC_CHECK(check_quota(*limits.cpu_quota_millis, sizes, operation));
      VMSEC_CHECK(bandwidth_of(*limits.cpu_quota_millis, vcpus, operation));
    }
    if (limits.memory_limit) VMSEC_CHECK(check_memory(limits.memory_limit->value, sizes, operation));
    for (const auto& pin : limits.pins) VMSEC_CHECK(check_pin(pin, vcpus, sizes.host_cpus, operation));
    return {};
  }

  static Result<ResourceLimits> read(virDomainPtr domain, const Sizes& sizes, const std::string& operation) {
    ResourceLimits out;
    out.vcpus = sizes.vcpus;
    auto scheduler = read_scheduler(domain, operation);
    if (scheduler) {
      out.cpu_weight = weight_of(scheduler->shares, host_cgroup_version());
      out.cpu_quota_millis = tighter(millis_of(scheduler->vcpu, sizes.vcpus), millis_of(scheduler->global, 1));
    } else if (scheduler.error().code != Code::unsupported) {
      return fail(std::move(scheduler).error());
    }
    auto memory = read_memory_limit(domain, operation);
    if (memory) {
      out.memory_limit = Bytes{*memory};
    } else if (memory.error().code != Code::unsupported) {
      return fail(std::move(memory).error());
    }
    VMSEC_TRY(out.pins, read_pins(domain, sizes.vcpus, sizes.host_cpus, operation));
    return out;
  }

  static Status write_scheduler(virDomainPtr domain, TypedParams& params, unsigned int flags,
                                const std::string& operation) {
    if (virDomainSetSchedulerParametersFlags(domain, params.data(), params.size(), flags) < 0)
      return fail(cgroup_error(domain, operation));
    return {};
  }

  static Status write_weight(virDomainPtr domain, std::uint32_t weight, unsigned int flags,
                             const std::string& operation) {
    TypedParams params;
    params.add_unsigned(VIR_DOMAIN_SCHEDULER_CPU_SHARES, shares_of(weight, host_cgroup_version()));
    return write_scheduler(domain, params, flags, operation + ": CPU weight");
  }

  static Status write_quota(virDomainPtr domain, std::uint32_t millis, std::uint32_t vcpus, unsigned int flags,
                            const std::string& operation) {
    VMSEC_TRY(const CpuBandwidth each, bandwidth_of(millis, vcpus, operation));
    VMSEC_TRY(const Scheduler now, read_scheduler(domain, operation));
    TypedParams params;
    // A bound of the whole process that somebody else set would hold beside ours.
    if (millis_of(now.global, 1) != 0) params.add_signed(VIR_DOMAIN_SCHEDULER_GLOBAL_QUOTA, -1);
    params.add_unsigned(VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, each.period);
    params.add_signed(VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, each.quota);
    return write_scheduler(domain, params, flags, operation + ": CPU quota");
  }

  static Status write_memory(virDomainPtr domain, std::uint64_t bytes, unsigned int flags,
                             const std::string& operation) {
    TypedParams params;
    params.add_unsigned(VIR_DOMAIN_MEMORY_HARD_LIMIT, bytes == 0 ? VIR_DOMAIN_MEMORY_PARAM_UNLIMITED
                                                                 : (bytes + common::kKibibyte - 1) / common::kKibibyte);
    if (virDomainSetMemoryParameters(domain, params.data(), params.size(), flags) < 0)
      return fail(cgroup_error(domain, operation + ": memory limit"));
    return {};
  }

  // Of all vCPUs together; 0: none that is divided among them.
  static Result<std::uint32_t> divided_quota(virDomainPtr domain, std::uint32_t vcpus, const std::string& operation) {
    const auto scheduler = read_scheduler(domain, operation);
    if (!scheduler && scheduler.error().code == Code::unsupported) return 0;
    if (!scheduler) return fail(scheduler.error());
    const std::uint32_t quota = millis_of(scheduler->vcpu, vcpus);
    return quota == 0 ? 0 : tighter(quota, millis_of(scheduler->global, 1));
  }

  // The quota is divided anew before there are more vCPUs and after there are fewer: their sum never exceeds it.
  static Status change_vcpus(virDomainPtr domain, std::uint32_t count, std::uint32_t& vcpus, unsigned int flags,
                             const std::string& operation) {
    if (count == vcpus) return {};
    VMSEC_TRY(const std::uint32_t quota, divided_quota(domain, vcpus, operation));
    if (quota != 0 && count > vcpus) VMSEC_CHECK(write_quota(domain, quota, count, flags, operation));
    const Status written = write_vcpus(domain, count, flags, operation);
    // Where it failed too: libvirt plugs one vCPU after the other.
    virDomainInfo info{};
    if (virDomainGetInfo(domain, &info) < 0) return fail(virt_error(operation));
    vcpus = info.nrVirtCpu;
    if (quota != 0) VMSEC_CHECK(write_quota(domain, quota, vcpus, flags, operation));
    if (written) return {};
    Error error = written.error();
    error.message += "; it has " + std::to_string(vcpus);
    return fail(std::move(error));
  }

  static Status write(virDomainPtr domain, const ResourceLimits& limits, const Sizes& sizes,
                      const std::string& operation, std::string& done) {
    VMSEC_TRY(const unsigned int flags, affect_flags(domain, operation));
    std::uint32_t vcpus = sizes.vcpus;
    if (limits.vcpus && *limits.vcpus != vcpus) {
      VMSEC_CHECK(change_vcpus(domain, *limits.vcpus, vcpus, flags, operation));
      done += " number of vCPUs";
    }
    if (limits.cpu_weight) {
      VMSEC_CHECK(write_weight(domain, *limits.cpu_weight, flags, operation));
      done += " CPU weight";
    }
    if (limits.cpu_quota_millis) {
      VMSEC_CHECK(write_quota(domain, *limits.cpu_quota_millis, vcpus, flags, operation));
      done += " CPU quota";
    }
    if (limits.memory_limit) {
      VMSEC_CHECK(write_memory(domain, limits.memory_limit->value, flags, operation));
      done += " memory limit";
    }
    for (const auto& pin : limits.pins) {
      VMSEC_CHECK(write_pin(domain, pin, sizes.host_cpus, flags, operation));
      done += " pin of vCPU " + std::to_string(pin.vcpu);
    }
    return {};
  }

  static std::unexpected<Error> not_taken(const std::string& operation, const std::string& what, std::uint64_t wanted,
                                          std::uint64_t is) {
    return fail(Code::internal, operation + ": " + what + " did not take: " + std::to_string(wanted) + " was set, " +
                                    std::to_string(is) + " is read back");
  }

  static Status verify(virDomainPtr domain, const ResourceLimits& wanted, const Sizes& sizes,
                       const std::string& operation) {
    VMSEC_TRY(const ResourceLimits is, read(domain, sizes, operation));
    if (wanted.vcpus && sizes.vcpus != *wanted.vcpus)
      return not_taken(operation, "the number of vCPUs", *wanted.vcpus, sizes.vcpus);
    if (wanted.cpu_weight) {
      const CgroupVersion version = host_cgroup_version();
      const std::uint32_t now = is.cpu_weight.value_or(0);
      if (shares_of(now, version) != shares_of(*wanted.cpu_weight, version))
        return not_taken(operation, "CPU weight", *wanted.cpu_weight, now);
    }
    if (wanted.cpu_quota_millis) {
      // Divided among very many vCPUs it may be rounded down by a thousandth.
      VMSEC_TRY(const CpuBandwidth each, bandwidth_of(*wanted.cpu_quota_millis, sizes.vcpus, operation));
      const std::uint32_t now = is.cpu_quota_millis.value_or(0);
      if (now != millis_of(each, sizes.vcpus)) return not_taken(operation, "CPU quota", *wanted.cpu_quota_millis, now);
    }
    if (wanted.memory_limit) {
      const std::uint64_t now = is.memory_limit.value_or(Bytes{}).value;
      const std::uint64_t want = wanted.memory_limit->value;
      if ((want == 0) != (now == 0) || std::max(want, now) - std::min(want, now) >= kMemoryGrain)
        return not_taken(operation, "memory limit", want, now);
    }
    for (const auto& pin : wanted.pins) {
      const auto found = std::ranges::find(is.pins, pin.vcpu, &VcpuPin::vcpu);
      const auto want = cpu_map_of(pin.cpus, sizes.host_cpus);
      if (found == is.pins.end() || cpu_map_of(found->cpus, sizes.host_cpus) != want)
        return fail(Code::internal, operation + ": the pin of vCPU " + std::to_string(pin.vcpu) + " did not take");
    }
    return {};
  }

  std::shared_ptr<Context> context_;
};

}  // namespace

Result<std::unique_ptr<ResourceControl>> make_resource_control(std::shared_ptr<Context> context) {
  return std::unique_ptr<ResourceControl>(std::make_unique<KvmResourceControl>(std::move(context)));
}

}  // namespace vmsec::kvm
