#include "moves.hpp"

#include <algorithm>

#include "suspend_request.hpp"
#include "units.hpp"
#include "vcpus.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kRoomKib = 8 * 1024;  // what Xen takes for a domain beside its memory
// Taking a domain down waits for its devices.
constexpr std::chrono::seconds kDestroy{60};

// libxl keeps the vCPUs that it was built with; the destination writes these into xenstore, where the guest reads which
// it may run.
Status tell_vcpus(Libxl& libxl, const Seen& seen, libxl_domain_config& config, const std::string& operation) {
  VMSEC_TRY(const Vcpus vcpus, Vcpus::of(libxl, seen.domid, operation));
  libxl_bitmap& map = config.b_info.avail_vcpus;
  libxl_bitmap_dispose(&map);
  libxl_bitmap_init(&map);
  if (const int code = libxl_cpu_bitmap_alloc(libxl.get(), &map, config.b_info.max_vcpus); code != 0)
    return fail(libxl.error(operation, code));
  for (const auto& each : vcpus.all())
    if (each.online) libxl_bitmap_set(&map, static_cast<int>(each.vcpuid));
  return {};
}

Result<DomainDescription> describe(Libxl& libxl, const std::string& pool, const Uuid& uuid,
                                   const std::string& operation) {
  VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
  VMSEC_CHECK(require_active(seen, operation));
  DomainConfig config;
  VMSEC_CHECK(read_built_config(libxl, seen.domid, config, operation));
  ::free(config->c_info.pool_name);
  config->c_info.pool_name = nullptr;
  const std::string name = name_of(libxl, seen.domid);
  ::free(config->c_info.name);
  config->c_info.name = ::strdup(name.c_str());
  std::uint64_t target = 0;
  if (libxl_get_memory_target(libxl.get(), seen.domid, &target) == 0)
    config->b_info.target_memkb = std::min(target, config->b_info.max_memkb);
  SchedParams shares;
  if (libxl_domain_sched_params_get(libxl.get(), seen.domid, shares.get()) == 0) {
    config->b_info.sched_params.weight = shares->weight;
    config->b_info.sched_params.cap = shares->cap;
  }
  VMSEC_CHECK(tell_vcpus(libxl, seen, *config, operation));
  const Text json(libxl_domain_config_to_json(libxl.get(), config.get()));
  if (!json) return fail(libxl.error(operation, ERROR_FAIL, seen.domid));
  DomainDescription out;
  out.domain = uuid;
  out.name = name;
  out.format = std::string(kFormat);
  out.configuration = json.get();
  out.memory.value = config->b_info.max_memkb * common::kKibibyte;
  out.vcpus = static_cast<std::uint32_t>(config->b_info.max_vcpus);
  return out;
}

Result<Transfer> transfer_of(Libxl& libxl, const Seen& seen, bool stop_and_copy, const std::string& operation) {
  PhysInfo host;
  if (const int code = libxl_get_physinfo(libxl.get(), host.get()); code != 0)
    return fail(libxl.error(operation, code));
  const bool live = seen.pv ? host->cap_shadow : host->cap_hap || host->cap_shadow;
  if (live) return Transfer::live;
  if (stop_and_copy) return Transfer::stopped;
  const std::string lacks = seen.pv
                                ? "shadow paging, which a PV guest's log of writes needs"
                                : "hardware-assisted and shadow paging, of which this guest's log of writes needs one";
  return fail(Code::unsupported, operation + ": it cannot be moved while it runs, because this Xen lacks " + lacks +
                                     "; the migration policy's non_live = \"allow\" moves it stopped");
}

Status activate(Libxl& libxl, const std::string& pool, const Uuid& uuid, const std::string& operation) {
  VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
  VMSEC_CHECK(require_active(seen, operation));
  if (seen.suspended)
    return fail(Code::wrong_state, operation + ": it was stopped to be sent elsewhere: reclaim it, or release it");
  const std::string name = name_of(libxl, seen.domid);
  int renamed = 0;
  const Text full(libxl_domid_to_name(libxl.get(), seen.domid));
  if (full && name != full.get()) {
    renamed = libxl_domain_rename(libxl.get(), seen.domid, full.get(), name.c_str());
  }
  // It is committed: it runs, even where somebody has taken its name meanwhile.
  VMSEC_CHECK(unpause_domain(libxl, seen.domid, operation));
  if (renamed == 0) return {};
  return fail(libxl.error(operation + ": it runs, but could not be given its name", renamed, seen.domid));
}

Status reclaim(Libxl& libxl, const std::string& pool, const Uuid& uuid, Paused paused, const std::string& operation) {
  VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
  VMSEC_CHECK(require_active(seen, operation));
  if (!seen.suspended) {
    VMSEC_CHECK(withdraw_suspend(seen.domid, operation));
    return paused == Paused::stays ? Status() : unpause_domain(libxl, seen.domid, operation);
  }
  // The guest is told that its suspend was called off: its devices are connected still.
  constexpr int kCalledOff = 1;
  if (const int code = libxl_domain_resume(libxl.get(), seen.domid, kCalledOff, nullptr); code != 0)
    return fail(libxl.error(operation, code, seen.domid));
  VMSEC_TRY(const Seen after, find_domain(libxl, pool, uuid, operation));
  if (after.suspended) return fail(Code::internal, operation + ": Xen has not let it go on");
  return paused == Paused::stays ? Status() : unpause_domain(libxl, seen.domid, operation);
}

Status remove(Libxl& libxl, const std::string& pool, const Uuid& uuid, const std::string& operation) {
  const auto seen = find_domain(libxl, pool, uuid, operation);
  if (!seen) return seen.error().code == Code::not_found ? Status() : Status(fail(seen.error()));
  if (seen->state == DomainState::running) return fail(Code::wrong_state, operation + ": it runs");
  const int code = libxl_domain_destroy(libxl.get(), seen->domid, nullptr);
  if (code == 0) return {};
  const Error error = libxl.error(operation, code, seen->domid);
  return error.code == Code::not_found ? Status() : Status(fail(error));
}

}  // namespace

Result<DomainDescription> describe_domain(const Context& context, const Uuid& uuid) {
  const std::string operation = "describe domain " + uuid.text();
  return context.toolstack->call(operation, [pool = context.pool, uuid, operation](Libxl& libxl) {
    return describe(libxl, pool, uuid, operation);
  });
}

Result<Transfer> check_outgoing(const Context& context, const Uuid& uuid, bool stop_and_copy) {
  const std::string operation = "migrate domain " + uuid.text();
  return context.toolstack->call(
      operation, [pool = context.pool, uuid, stop_and_copy, operation](Libxl& libxl) -> Result<Transfer> {
        VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
        VMSEC_CHECK(require_active(seen, operation));
        // A vCPU that does not run does not answer Xen's request to suspend.
        if (seen.state != DomainState::running)
          return fail(Code::wrong_state,
                      operation + ": it is paused; a Xen guest takes part in its own move: resume it");
        return transfer_of(libxl, seen, stop_and_copy, operation);
      });
}

Status check_absent(const Context& context, const DomainDescription& description) {
  const std::string operation = "prepare for domain " + description.domain.text();
  return context.toolstack->call(operation, [pool = context.pool, description, operation](Libxl& libxl) -> Status {
    VMSEC_TRY(const auto domains, list_domains(libxl, pool, operation));
    if (std::ranges::find(domains, description.domain, &Seen::uuid) != domains.end())
      return fail(Code::already_exists, operation + ": it is on this host already");
    // Names are all of Xen's, whatever the pool. The source itself may be in another one.
    VMSEC_TRY(const auto all, list_domains(libxl, {}, operation));
    for (const Seen& seen : all)
      if (seen.uuid != description.domain && name_of(libxl, seen.domid) == description.name)
        return fail(Code::already_exists, operation + ": another domain here has its name, " + description.name);
    std::uint64_t free_kib = 0;
    if (const int code = libxl_get_free_memory(libxl.get(), &free_kib); code != 0)
      return fail(libxl.error(operation, code));
    const std::uint64_t wanted = description.memory.value / common::kKibibyte + kRoomKib;
    if (free_kib >= wanted) return {};
    return fail(Code::limit_exceeded, operation + ": it needs " + std::to_string(wanted / common::kKibibyte) +
                                          " MiB, and Xen has " + std::to_string(free_kib / common::kKibibyte) +
                                          " MiB free");
  });
}

Result<Holding> holding_of(const Context& context, const Uuid& uuid) {
  const std::string operation = "look for domain " + uuid.text();
  return context.toolstack->call(operation, [pool = context.pool, uuid, operation](Libxl& libxl) -> Result<Holding> {
    const auto seen = find_domain(libxl, pool, uuid, operation);
    if (seen) return Holding{true, seen->state, false, false};
    if (seen.error().code == Code::not_found) return Holding{};
    return fail(seen.error());
  });
}

Status activate_domain(const Context& context, const Uuid& uuid, const std::string& operation) {
  return context.toolstack->call(operation, [pool = context.pool, uuid, operation](Libxl& libxl) {
    return activate(libxl, pool, uuid, operation);
  });
}

Status reclaim_domain(const Context& context, const Uuid& uuid, Paused paused, const std::string& operation) {
  return context.toolstack->call(operation, [pool = context.pool, uuid, paused, operation](Libxl& libxl) {
    return reclaim(libxl, pool, uuid, paused, operation);
  });
}

Status remove_domain(const Context& context, const Uuid& uuid, const std::string& operation) {
  return context.toolstack->call(
      operation, [pool = context.pool, uuid, operation](Libxl& libxl) { return remove(libxl, pool, uuid, operation); },
      kDestroy);
}

}  // namespace vmsec::xen
