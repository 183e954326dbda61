// ResourceControl over libxl: Xen's scheduler, affinities and maximum of memory.
#include <algorithm>
#include <cstdio>

#include "context.hpp"
#include "domain.hpp"
#include "scheduler_units.hpp"
#include "units.hpp"
#include "vcpu_number.hpp"
#include "vcpus.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kPage = 4096;
// Longer than a guest is waited for to change its vCPUs.
constexpr std::chrono::seconds kSetLimit{60};

struct Host {
  std::uint32_t cpus = 0;
  std::uint64_t memory = 0;
};

struct PoolsFree {
  int count = 0;
  void operator()(libxl_cpupoolinfo* list) const { libxl_cpupoolinfo_list_free(list, count); }
};

Result<Host> read_host(Libxl& libxl, const std::string& operation) {
  PhysInfo info;
  if (const int code = libxl_get_physinfo(libxl.get(), info.get()); code != 0)
    return fail(libxl.error(operation, code));
  return Host{info->nr_cpus, info->total_pages * kPage};
}

// Of all vCPUs that it may have: which of them run is the guest's own word, and a pin binds those that do not yet.
std::vector<VcpuPin> read_pins(const Vcpus& vcpus, std::uint32_t cpus) {
  std::vector<VcpuPin> out;
  for (const libxl_vcpuinfo& vcpu : vcpus.all()) {
    VcpuPin pin{vcpu.vcpuid, {}};
    for (std::uint32_t cpu = 0; cpu < cpus; ++cpu)
      if (libxl_bitmap_test(&vcpu.cpumap, static_cast<int>(cpu)) != 0) pin.cpus.push_back(cpu);
    if (pin.cpus.size() == cpus) pin.cpus.clear();  // all of them: not pinned
    out.push_back(std::move(pin));
  }
  return out;
}

Result<ResourceLimits> read(Libxl& libxl, const Seen& seen, const std::string& operation) {
  VMSEC_TRY(const Host host, read_host(libxl, operation));
  ResourceLimits out;
  SchedParams params;
  if (const int code = libxl_domain_sched_params_get(libxl.get(), seen.domid, params.get()); code != 0)
    return fail(libxl.error(operation + ": read the scheduler's values", code, seen.domid));
  if (has_weights(params->sched)) {
    out.cpu_weight = from_xen_weight(params->weight);
    out.cpu_quota_millis = from_xen_cap(params->cap);
  }
  const std::uint64_t most = seen.maximum_kib * common::kKibibyte;
  out.memory_limit = Bytes{most >= host.memory ? 0 : most};
  VMSEC_TRY(const Vcpus vcpus, Vcpus::of(libxl, seen.domid, operation));
  out.vcpus = vcpus.online();
  out.pins = read_pins(vcpus, host.cpus);
  return out;
}

Status check_memory(const ResourceLimits& limits, const Seen& seen, const Host& host, const std::string& operation) {
  if (!limits.memory_limit || limits.memory_limit->value == 0) return {};
  const std::uint64_t bytes = limits.memory_limit->value;
  const std::string what = operation + ": a memory limit of " + std::to_string(bytes) + " bytes ";
  if (bytes < seen.memory_kib * common::kKibibyte)
    return fail(Code::limit_exceeded, what + "is below the domain's own memory of " +
                                          std::to_string(seen.memory_kib * common::kKibibyte) + " bytes");
  if (bytes > host.memory)
    return fail(Code::limit_exceeded, what + "exceeds the host's " + std::to_string(host.memory) + " bytes");
  return {};
}

// Xen takes no pin to a CPU of another pool.
bool belongs_to_pool(Libxl& libxl, const Seen& seen, std::uint32_t cpu) {
  int count = 0;
  libxl_cpupoolinfo* raw = libxl_list_cpupool(libxl.get(), &count);
  const std::unique_ptr<libxl_cpupoolinfo, PoolsFree> list(raw, PoolsFree{count});
  for (int i = 0; i < count; ++i)
    if (raw[i].poolid == seen.pool) return libxl_bitmap_test(&raw[i].cpumap, static_cast<int>(cpu)) != 0;
  return true;  // Xen itself refuses it
}

Status check_pins(Libxl& libxl, const ResourceLimits& limits, const Seen& seen, const Host& host,
                  const std::string& operation) {
  if (limits.pins.empty()) return {};
  for (const auto& pin : limits.pins) {
    const std::string vcpu = std::to_string(pin.vcpu);
    if (pin.vcpu >= seen.vcpus_maximum)
      return fail(Code::invalid_argument, operation + ": the domain has no vCPU " + vcpu + ", it may have " +
                                              std::to_string(seen.vcpus_maximum));
    for (const std::uint32_t cpu : pin.cpus) {
      const std::string what = operation + ": vCPU " + vcpu + " cannot be pinned to CPU " + std::to_string(cpu) + ", ";
      if (cpu >= host.cpus) return fail(Code::limit_exceeded, what + "the host has " + std::to_string(host.cpus));
      if (!belongs_to_pool(libxl, seen, cpu))
        return fail(Code::limit_exceeded, what + "which is in another pool of CPUs");
    }
  }
  return {};
}

Status check_vcpus(const Context& context, const ResourceLimits& limits, const Seen& seen,
                   const std::string& operation) {
  if (!limits.vcpus) return {};
  VMSEC_CHECK(common::check_vcpus(*limits.vcpus, seen.vcpus_maximum, operation));
  if (*limits.vcpus == seen.vcpus) return {};
  if (seen.state != DomainState::running)
    return fail(Code::wrong_state,
                operation + ": it is paused, and a guest takes part in a change of its vCPUs: resume it");
  if (!context.held.is_held(seen.uuid)) return {};
  return fail(Code::wrong_state, operation + ": it belongs to a migration that is not decided; its vCPUs stay");
}

Status check(Libxl& libxl, const ResourceLimits& limits, const Seen& seen, const Host& host,
             const std::string& operation) {
  if (limits.cpu_weight) VMSEC_CHECK(check_weight(*limits.cpu_weight, operation));
  if (limits.cpu_quota_millis) VMSEC_CHECK(check_quota(*limits.cpu_quota_millis, host.cpus, operation));
  VMSEC_CHECK(check_memory(limits, seen, host, operation));
  return check_pins(libxl, limits, seen, host, operation);
}

Status write_scheduler(Libxl& libxl, const Seen& seen, const ResourceLimits& limits, const std::string& operation) {
  if (!limits.cpu_weight && !limits.cpu_quota_millis) return {};
  SchedParams params;
  if (const int code = libxl_domain_sched_params_get(libxl.get(), seen.domid, params.get()); code != 0)
    return fail(libxl.error(operation + ": read the scheduler's values", code, seen.domid));
  if (!has_weights(params->sched))
    return fail(Code::unsupported, operation + ": Xen's scheduler " +
                                       std::string(libxl_scheduler_to_string(params->sched)) +
                                       " has no weights and caps (credit and credit2 have)");
  if (limits.cpu_weight) params->weight = to_xen_weight(*limits.cpu_weight);
  if (limits.cpu_quota_millis) params->cap = to_xen_cap(*limits.cpu_quota_millis);
  if (const int code = libxl_domain_sched_params_set(libxl.get(), seen.domid, params.get()); code != 0)
    return fail(libxl.error(operation + ": set CPU weight and quota", code, seen.domid));
  return {};
}

// libxl adds room for its own needs to what it is told; the limit is what Xen then holds to.
Status write_memory(Libxl& libxl, const Seen& seen, std::uint64_t kib, const std::string& operation) {
  std::uint64_t asked = kib;
  for (int i = 0; i < 2; ++i) {
    if (const int code = libxl_domain_setmaxmem(libxl.get(), seen.domid, asked); code != 0)
      return fail(libxl.error(operation + ": memory limit", code, seen.domid));
    DomInfo info;
    if (const int code = libxl_domain_info(libxl.get(), info.get(), seen.domid); code != 0)
      return fail(libxl.error(operation + ": memory limit", code, seen.domid));
    if (info->max_memkb == kib) return {};
    asked += kib - info->max_memkb;
  }
  return {};
}

Status write_pin(Libxl& libxl, const Seen& seen, const VcpuPin& pin, const std::string& operation) {
  Bitmap map;
  if (const int code = libxl_cpu_bitmap_alloc(libxl.get(), map.get(), 0); code != 0)
    return fail(libxl.error(operation, code));
  if (pin.cpus.empty()) libxl_bitmap_set_any(map.get());
  for (const std::uint32_t cpu : pin.cpus) libxl_bitmap_set(map.get(), static_cast<int>(cpu));
  if (const int code = libxl_set_vcpuaffinity(libxl.get(), seen.domid, pin.vcpu, map.get(), nullptr); code != 0)
    return fail(libxl.error(operation + ": pin vCPU " + std::to_string(pin.vcpu), code, seen.domid));
  return {};
}

Status write(Libxl& libxl, const Seen& seen, const ResourceLimits& limits, const Host& host,
             const std::string& operation, std::string& done) {
  if (limits.vcpus && *limits.vcpus != seen.vcpus) {
    VMSEC_CHECK(change_vcpus(libxl, seen, *limits.vcpus, operation));
    done += " number of vCPUs";
  }
  VMSEC_CHECK(write_scheduler(libxl, seen, limits, operation));
  if (limits.cpu_weight) done += " CPU weight";
  if (limits.cpu_quota_millis) done += " CPU quota";
  if (limits.memory_limit) {
    const std::uint64_t bytes = limits.memory_limit->value == 0 ? host.memory : limits.memory_limit->value;
    VMSEC_CHECK(write_memory(libxl, seen, bytes / kPage * (kPage / common::kKibibyte), operation));
    done += " memory limit";
  }
  for (const auto& pin : limits.pins) {
    VMSEC_CHECK(write_pin(libxl, seen, pin, operation));
    done += " pin of vCPU " + std::to_string(pin.vcpu);
  }
  return {};
}

std::unexpected<Error> not_taken(const std::string& operation, const std::string& what) {
  return fail(Code::internal, operation + ": " + what + " did not take");
}

Status verify(const ResourceLimits& wanted, const ResourceLimits& is, const std::string& operation) {
  if (wanted.vcpus && wanted.vcpus != is.vcpus) return not_taken(operation, "the number of vCPUs");
  if (wanted.cpu_weight && to_xen_weight(*wanted.cpu_weight) != to_xen_weight(is.cpu_weight.value_or(0)))
    return not_taken(operation, "CPU weight");
  if (wanted.cpu_quota_millis && to_xen_cap(*wanted.cpu_quota_millis) != to_xen_cap(is.cpu_quota_millis.value_or(0)))
    return not_taken(operation, "CPU quota");
  if (wanted.memory_limit && wanted.memory_limit->value / kPage != is.memory_limit.value_or(Bytes{}).value / kPage)
    return not_taken(operation, "memory limit");
  for (const auto& pin : wanted.pins) {
    const auto found = std::ranges::find(is.pins, pin.vcpu, &VcpuPin::vcpu);
    if (found == is.pins.end() || found->cpus != pin.cpus)
      return not_taken(operation, "the pin of vCPU " + std::to_string(pin.vcpu));
  }
  return {};
}

Result<Empty> set_limits(Libxl& libxl, const Context& context, const SetResources& request, std::string operation) {
  VMSEC_TRY(const Seen seen, find_domain(libxl, context.pool, request.domain, operation));
  const std::string name = name_of(libxl, seen.domid);
  operation = "set resource limits of " + name;
  VMSEC_CHECK(require_active(seen, operation));
  VMSEC_TRY(const Host host, read_host(libxl, operation));
  ResourceLimits wanted = request.limits;
  for (auto& pin : wanted.pins)
    if (pin.cpus.size() == host.cpus) pin.cpus.clear();
  VMSEC_CHECK(check_vcpus(context, wanted, seen, operation));
  VMSEC_CHECK(check(libxl, wanted, seen, host, operation));
  std::string done;
  if (const Status written = write(libxl, seen, wanted, host, operation, done); !written) {
    Error error = written.error();
    if (!done.empty()) error.message += " (set before:" + done + ")";
    return fail(std::move(error));
  }
  VMSEC_TRY(const Seen after, find_domain(libxl, context.pool, request.domain, operation));
  VMSEC_TRY(const ResourceLimits is, read(libxl, after, operation));
  VMSEC_CHECK(verify(wanted, is, operation));
  if (!done.empty()) context.events->push(EventKind::limits_changed, request.domain, name, done.substr(1));
  return Empty{};
}

class XenResourceControl final : public ResourceControl {
 public:
  explicit XenResourceControl(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<HostResources> host(const Empty&) override {
    const std::string operation = "read the host's sizes";
    return context_->toolstack->call(operation, [operation](Libxl& libxl) -> Result<HostResources> {
      VMSEC_TRY(const Host host, read_host(libxl, operation));
      const libxl_version_info* version = libxl_get_version_info(libxl.get());
      if (version == nullptr) return fail(libxl.error(operation, ERROR_FAIL));
      return HostResources{host.cpus, Bytes{host.memory},
                           "Xen " + std::to_string(version->xen_version_major) + "." +
                               std::to_string(version->xen_version_minor) +
                               (version->xen_version_extra ? version->xen_version_extra : "") + " by libxl"};
    });
  }

  Result<ResourceLimits> get(const DomainRef& request) override {
    const std::string operation = "get resource limits of " + request.domain.text();
    return context_->toolstack->call(
        operation, [pool = context_->pool, uuid = request.domain, operation](Libxl& libxl) -> Result<ResourceLimits> {
          VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
          VMSEC_CHECK(require_active(seen, operation));
          return read(libxl, seen, operation);
        });
  }

  Result<Empty> set(const SetResources& request) override {
    const std::string operation = "set resource limits of " + request.domain.text();
    return context_->toolstack->call(
        operation,
        [context = context_, request, operation](Libxl& libxl) {
          return set_limits(libxl, *context, request, operation);
        },
        request.limits.vcpus ? kSetLimit : Toolstack::kUsual);
  }

 private:
  std::shared_ptr<Context> context_;
};

}  // namespace

std::unique_ptr<ResourceControl> make_resource_control(std::shared_ptr<Context> context) {
  return std::make_unique<XenResourceControl>(std::move(context));
}

}  // namespace vmsec::xen
