// IoControl on dom0's backends: cgroups for disks, tc for network cards.
#include <algorithm>

#include "backend_disk.hpp"
#include "context.hpp"
#include "disk_cgroups.hpp"
#include "domain.hpp"
#include "tc.hpp"
#include "tc_parse.hpp"

namespace vmsec::xen {
namespace {

constexpr std::uint64_t kLeast = 1000;               // bytes/s: below it one packet takes seconds
constexpr std::uint64_t kLargest = 100'000'000'000;  // bytes/s

std::string target_of(const libxl_device_disk& disk) { return disk.vdev == nullptr ? "" : disk.vdev; }

libxl_device_disk* find_disk(const Devices& devices, const std::string& target) {
  for (libxl_device_disk& disk : devices.disks())
    if (target_of(disk) == target) return &disk;
  return nullptr;
}

bool has_nic(const Devices& devices, std::uint32_t domid, const std::string& target) {
  return std::ranges::any_of(devices.nics(),
                             [&](const libxl_device_nic& nic) { return nic_name(domid, nic) == target; });
}

Status check_nic(const NicLimit& limit, const std::string& operation) {
  for (const auto rate : {limit.receive.value, limit.transmit.value}) {
    if (rate == 0 || (rate >= kLeast && rate <= kLargest)) continue;
    return fail(Code::limit_exceeded, operation + ": a rate of " + std::to_string(rate) + " bytes/s is outside of " +
                                          std::to_string(kLeast) + " to " + std::to_string(kLargest));
  }
  return {};
}

struct Shared {
  DiskCgroups disks;
  std::mutex tc_mutex;  // a limit is several calls of tc
};

Result<IoLimits> read_limits(Libxl& libxl, Shared& shared, const Seen& seen, const Devices& devices,
                             const std::string& operation) {
  IoLimits out;
  for (libxl_device_disk& disk : devices.disks()) {
    const std::string named = operation + "/" + target_of(disk);
    const auto backend = backend_disk(libxl, seen.domid, disk, named);
    // What cannot be bounded is not bounded.
    if (!backend && backend.error().code != Code::unsupported && backend.error().code != Code::unavailable)
      return fail(backend.error());
    if (!backend) {
      out.disks.emplace_back().target = target_of(disk);
      continue;
    }
    auto limit = shared.disks.read(*backend);
    if (!limit) return fail(limit.error().in(named));
    out.disks.push_back(std::move(*limit));
  }
  for (const libxl_device_nic& nic : devices.nics()) {
    const std::string name = nic_name(seen.domid, nic);
    auto limit = common::read_tap_limit(name);
    if (!limit) return fail(limit.error().in(operation + "/" + name));
    out.nics.push_back(std::move(*limit));
  }
  return out;
}

Status write_disk(Libxl& libxl, Shared& shared, const Seen& seen, const Devices& devices, const DiskLimit& limit,
                  const std::string& operation) {
  libxl_device_disk* disk = find_disk(devices, limit.target);
  if (disk == nullptr) return fail(Code::not_found, operation + ": the domain has no such disk");
  VMSEC_TRY(const BackendDisk backend, backend_disk(libxl, seen.domid, *disk, operation));
  const Status written = shared.disks.write(backend, limit);
  return written ? written : fail(written.error().in(operation));
}

Status write_nic(Shared& shared, const Seen& seen, const Devices& devices, const NicLimit& limit,
                 const std::string& operation) {
  if (!common::is_interface_name(limit.target) || !has_nic(devices, seen.domid, limit.target))
    return fail(Code::not_found, operation + ": the domain has no such NIC");
  VMSEC_CHECK(check_nic(limit, operation));
  const std::lock_guard one_at_a_time(shared.tc_mutex);
  const Status written = common::write_tap_limit(limit);
  if (!written) return fail(written.error().in(operation));
  auto is = common::read_tap_limit(limit.target);
  if (!is) return fail(is.error().in(operation));
  if (is->receive == limit.receive && is->transmit == limit.transmit) return {};
  return fail(Code::internal, operation + ": the limit did not take");
}

Result<IoStatistics> read_statistics(Libxl& libxl, const Seen& seen, const Devices& devices,
                                     const std::string& operation) {
  IoStatistics out;
  for (libxl_device_disk& disk : devices.disks()) {
    VMSEC_TRY(IoCounters counters, disk_counters(libxl, seen.domid, disk, operation + "/" + target_of(disk)));
    out.disks.push_back(std::move(counters));
  }
  for (const libxl_device_nic& nic : devices.nics()) {
    const std::string name = nic_name(seen.domid, nic);
    VMSEC_TRY(IoCounters counters, nic_counters(name, operation + "/" + name));
    out.nics.push_back(std::move(counters));
  }
  return out;
}

class XenIoControl final : public IoControl {
 public:
  explicit XenIoControl(std::shared_ptr<Context> context)
      : context_(std::move(context)), shared_(std::make_shared<Shared>()) {
    context_->ticks.emplace_back([shared = shared_] { shared->disks.keep(); });
  }

  Result<IoLimits> get(const DomainRef& request) override {
    return with<IoLimits>(
        "get I/O limits of " + request.domain.text(), request.domain,
        [shared = shared_](Libxl& libxl, const Seen& seen, const Devices& devices, const std::string& operation) {
          return read_limits(libxl, *shared, seen, devices, operation);
        });
  }

  Result<Empty> set_disk(const SetDiskLimit& request) override {
    return with<Empty>(
        "set I/O limit on " + request.domain.text() + "/" + request.limit.target, request.domain,
        [shared = shared_, context = context_, request](Libxl& libxl, const Seen& seen, const Devices& devices,
                                                        const std::string& operation) -> Result<Empty> {
          VMSEC_CHECK(write_disk(libxl, *shared, seen, devices, request.limit, operation));
          told(libxl, *context, seen, "disk " + request.limit.target);
          return Empty{};
        });
  }

  Result<Empty> set_nic(const SetNicLimit& request) override {
    return with<Empty>(
        "set NIC limit on " + request.domain.text() + "/" + request.limit.target, request.domain,
        [shared = shared_, context = context_, request](Libxl& libxl, const Seen& seen, const Devices& devices,
                                                        const std::string& operation) -> Result<Empty> {
          VMSEC_CHECK(write_nic(*shared, seen, devices, request.limit, operation));
          told(libxl, *context, seen, "nic " + request.limit.target);
          return Empty{};
        });
  }

  Result<IoStatistics> statistics(const DomainRef& request) override {
    return with<IoStatistics>("get I/O statistics of " + request.domain.text(), request.domain,
                              [](Libxl& libxl, const Seen& seen, const Devices& devices, const std::string& operation) {
                                return read_statistics(libxl, seen, devices, operation);
                              });
  }

 private:
  static void told(Libxl& libxl, const Context& context, const Seen& seen, std::string detail) {
    context.events->push(EventKind::limits_changed, seen.uuid, name_of(libxl, seen.domid), std::move(detail));
  }

  // With a running domain and its devices.
  template <class T, class Work>
  Result<T> with(const std::string& operation, const Uuid& uuid, Work work) {
    return context_->toolstack->call(
        operation, [pool = context_->pool, uuid, operation, work = std::move(work)](Libxl& libxl) -> Result<T> {
          VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
          VMSEC_CHECK(require_active(seen, operation));
          return work(libxl, seen, Devices::of(libxl, seen.domid), operation);
        });
  }

  std::shared_ptr<Context> context_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace

std::unique_ptr<IoControl> make_io_control(std::shared_ptr<Context> context) {
  return std::make_unique<XenIoControl>(std::move(context));
}

}  // namespace vmsec::xen
