// IoControl over libvirt and tc.
#include <algorithm>

#include "context.hpp"
#include "disk_limits.hpp"
#include "domain.hpp"
#include "nic_limits.hpp"
#include "qemu_process.hpp"

namespace vmsec::kvm {
namespace {

class KvmIoControl final : public IoControl {
 public:
  explicit KvmIoControl(std::shared_ptr<Context> context)
      : context_(std::move(context)), run_dir_(context_->setting("libvirt_run_dir", kUsualRunDir)) {}

  Result<IoLimits> get(const DomainRef& request) override {
    const std::string operation = "get I/O limits of " + request.domain.text();
    VMSEC_TRY(const Opened opened, open(request.domain, operation));
    IoLimits out;
    for (const auto& disk : opened.xml.disks) {
      VMSEC_TRY(DiskLimit limit, read_disk_limit(opened.domain.get(), disk.target, operation + "/" + disk.target));
      out.disks.push_back(std::move(limit));
    }
    for (const auto& nic : opened.xml.nics) {
      if (nic.target.empty()) continue;  // QEMU's own user network: no device on the host
      VMSEC_TRY(NicLimit limit,
                read_nic_limit(place(opened, request.domain, nic.target), operation + "/" + nic.target));
      out.nics.push_back(std::move(limit));
    }
    return out;
  }

  Result<Empty> set_disk(const SetDiskLimit& request) override {
    std::string operation = "set I/O limit on " + request.domain.text() + "/" + request.limit.target;
    VMSEC_TRY(const Opened opened, open(request.domain, operation));
    operation = "set I/O limit on " + name_of(opened.domain.get()) + "/" + request.limit.target;
    if (std::ranges::find(opened.xml.disks, request.limit.target, &XmlDisk::target) == opened.xml.disks.end())
      return fail(Code::not_found, operation + ": the domain has no such disk");
    VMSEC_CHECK(check_disk_limit(request.limit, operation));
    VMSEC_TRY(const unsigned int flags, affect_flags(opened.domain.get(), operation));
    VMSEC_CHECK(write_disk_limit(opened.domain.get(), request.limit, flags, operation));
    return Empty{};
  }

  Result<Empty> set_nic(const SetNicLimit& request) override {
    std::string operation = "set NIC limit on " + request.domain.text() + "/" + request.limit.target;
    VMSEC_TRY(const Opened opened, open(request.domain, operation));
    operation = "set NIC limit on " + name_of(opened.domain.get()) + "/" + request.limit.target;
    if (request.limit.target.empty() ||
        std::ranges::find(opened.xml.nics, request.limit.target, &XmlNic::target) == opened.xml.nics.end())
      return fail(Code::not_found, operation + ": the domain has no such NIC");
    VMSEC_CHECK(check_nic_limit(request.limit, operation));
    VMSEC_TRY(const unsigned int flags, affect_flags(opened.domain.get(), operation));
    const std::lock_guard one_at_a_time(tc_mutex_);
    VMSEC_CHECK(write_nic_limit(place(opened, request.domain, request.limit.target), request.limit, flags, operation));
    // Of disks and CPUs libvirt tells by itself.
    context_->events->push(EventKind::limits_changed, request.domain, name_of(opened.domain.get()),
                           "nic " + request.limit.target);
    return Empty{};
  }

  Result<IoStatistics> statistics(const DomainRef& request) override {
    const std::string operation = "get I/O statistics of " + request.domain.text();
    VMSEC_TRY(const Opened opened, open(request.domain, operation));
    IoStatistics out;
    for (const auto& disk : opened.xml.disks) {
      VMSEC_TRY(IoCounters counters,
                read_disk_counters(opened.domain.get(), disk.target, operation + "/" + disk.target));
      out.disks.push_back(std::move(counters));
    }
    for (const auto& nic : opened.xml.nics) {
      if (nic.target.empty()) continue;
      VMSEC_TRY(IoCounters counters,
                read_nic_counters(place(opened, request.domain, nic.target), operation + "/" + nic.target));
      out.nics.push_back(std::move(counters));
    }
    return out;
  }

 private:
  struct Opened {
    DomainPtr domain;
    DomainXml xml;
  };

  // A running domain.
  Result<Opened> open(const Uuid& uuid, const std::string& operation) {
    Opened out;
    VMSEC_TRY(out.domain, context_->connection->domain(uuid, operation));
    VMSEC_CHECK(require_active(out.domain.get(), operation));
    VMSEC_TRY(out.xml, xml_of(out.domain.get(), operation));
    return out;
  }

  [[nodiscard]] NicPlace place(const Opened& opened, const Uuid& uuid, const std::string& target) const {
    return {opened.domain.get(), uuid, run_dir_, target};
  }

  std::shared_ptr<Context> context_;
  std::string run_dir_;
  std::mutex tc_mutex_;  // a limit is several calls of tc
};

}  // namespace

Result<std::unique_ptr<IoControl>> make_io_control(std::shared_ptr<Context> context) {
  return std::unique_ptr<IoControl>(std::make_unique<KvmIoControl>(std::move(context)));
}

}  // namespace vmsec::kvm
