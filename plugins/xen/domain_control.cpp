// DomainControl over libxl.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>

#include "builder.hpp"
#include "context.hpp"
#include "domain.hpp"
#include "units.hpp"

namespace vmsec::xen {
namespace {

// 0 where it cannot be told.
Bytes capacity_of(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info{};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return {};
  std::uint64_t size = 0;
  if (S_ISBLK(info.st_mode)) return ::ioctl(fd.get(), BLKGETSIZE64, &size) == 0 ? Bytes{size} : Bytes{};
  return S_ISREG(info.st_mode) ? Bytes{static_cast<std::uint64_t>(info.st_size)} : Bytes{};
}

std::string text_of(const char* text) { return text == nullptr ? std::string() : std::string(text); }

Result<DomainInfo> info_of(Libxl& libxl, const Seen& seen, const std::string& operation) {
  DomainInfo out;
  out.domain = seen.uuid;
  out.name = name_of(libxl, seen.domid);
  out.state = seen.state;
  out.vcpus = seen.vcpus;
  out.vcpus_maximum = seen.vcpus_maximum;
  out.memory.value = seen.memory_kib * common::kKibibyte;
  out.cpu_time.value = seen.cpu_nanoseconds / 1000;
  DomainConfig config;
  VMSEC_CHECK(read_built_config(libxl, seen.domid, config, operation));
  out.memory_maximum.value = config->b_info.max_memkb * common::kKibibyte;
  // A guest brings its other vCPUs up by itself: until it runs, Xen counts one.
  if (seen.cpu_nanoseconds == 0 && config->b_info.avail_vcpus.size > 0)
    out.vcpus = static_cast<std::uint32_t>(libxl_bitmap_count_set(&config->b_info.avail_vcpus));
  // Xen counts pages of its own for the domain too.
  out.memory = std::min(out.memory, out.memory_maximum);
  const Devices devices = Devices::of(libxl, seen.domid);
  for (const libxl_device_disk& disk : devices.disks()) {
    const std::string source = text_of(disk.pdev_path);
    out.disks.push_back({text_of(disk.vdev), source, capacity_of(source)});
  }
  for (const libxl_device_nic& nic : devices.nics()) {
    out.nics.push_back({nic_name(seen.domid, nic), mac_of(nic)});
  }
  out.tpm = config->num_vtpms > 0;
  return out;
}

Result<DomainList> list_all(Libxl& libxl, const std::string& pool) {
  VMSEC_TRY(const auto domains, list_domains(libxl, pool, "list domains"));
  DomainList out;
  for (const Seen& seen : domains) {
    auto info = info_of(libxl, seen, "list domains");
    if (info)
      out.domains.push_back(std::move(*info));
    else if (info.error().code != Code::not_found)  // it went away meanwhile
      return fail(std::move(info).error());
  }
  std::ranges::sort(out.domains, {}, &DomainInfo::name);
  return out;
}

Status pause_domain(Libxl& libxl, const Seen& seen, const std::string& operation) {
  if (seen.state == DomainState::paused) return {};
  const int code = libxl_domain_pause(libxl.get(), seen.domid, nullptr);
  if (code != 0) return fail(libxl.error(operation, code, seen.domid));
  return {};
}

Status resume_domain(Libxl& libxl, const Seen& seen, const std::string& operation) {
  if (seen.suspended)
    return fail(Code::wrong_state, operation + ": it was stopped to be moved or saved; whoever did that has to end it");
  // Whichever process loaded it, and whether that lives: Xen's own store keeps the mark.
  if (is_incoming(libxl, seen.domid))
    return fail(Code::wrong_state,
                operation + ": it came from another host and was not committed (resolve its migration)");
  VMSEC_CHECK(unpause_domain(libxl, seen.domid, operation));
  forget_mark(libxl, seen);
  return {};
}

class XenDomainControl final : public DomainControl {
 public:
  explicit XenDomainControl(std::shared_ptr<Context> context) : context_(std::move(context)) {}

  Result<DomainList> list(const Empty&) override {
    return context_->toolstack->call("list domains",
                                     [pool = context_->pool](Libxl& libxl) { return list_all(libxl, pool); });
  }

  Result<DomainInfo> get(const DomainRef& request) override {
    const std::string operation = "get domain " + request.domain.text();
    return context_->toolstack->call(
        operation, [pool = context_->pool, uuid = request.domain, operation](Libxl& libxl) -> Result<DomainInfo> {
          VMSEC_TRY(const Seen seen, find_domain(libxl, pool, uuid, operation));
          return info_of(libxl, seen, operation);
        });
  }

  Result<Empty> pause(const DomainRef& request) override {
    return change("pause " + request.domain.text(), request.domain, pause_domain);
  }
  Result<Empty> resume(const DomainRef& request) override {
    return change("resume " + request.domain.text(), request.domain, resume_domain);
  }

 private:
  using Act = Status (*)(Libxl&, const Seen&, const std::string&);

  // The permit goes with the call: where that does not come back in time, no migration takes the
  // domain before it has.
  Result<Empty> change(const std::string& operation, const Uuid& uuid, Act act) {
    return context_->toolstack->call(operation,
                                     [context = context_, uuid, operation, act](Libxl& libxl) -> Result<Empty> {
                                       VMSEC_TRY(const Seen before, find_domain(libxl, context->pool, uuid, operation));
                                       const std::string named = operation + " (" + name_of(libxl, before.domid) + ")";
                                       VMSEC_TRY(const HeldDomains::Permit permit, context->held.permit(uuid, named));
                                       const std::lock_guard lock(context->pause_mutex);
                                       VMSEC_TRY(const Seen seen, find_domain(libxl, context->pool, uuid, named));
                                       VMSEC_CHECK(require_active(seen, named));
                                       VMSEC_CHECK(act(libxl, seen, named));
                                       VMSEC_TRY(const Seen after, find_domain(libxl, context->pool, uuid, named));
                                       context->observer->note({uuid, name_of(libxl, after.domid), after.state});
                                       return Empty{};
                                     });
  }

  std::shared_ptr<Context> context_;
};

}  // namespace

std::unique_ptr<DomainControl> make_domain_control(std::shared_ptr<Context> context) {
  return std::make_unique<XenDomainControl>(std::move(context));
}

}  // namespace vmsec::xen
