#include "source_options.hpp"

#include <algorithm>

#include "bandwidth.hpp"
#include "bulk_channels.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

Status check_range(std::string_view what, Microseconds time, Microseconds least, Microseconds most) {
  if (time >= least && time <= most) return {};
  return fail(Code::invalid_argument, std::string(what) + " " + to_text(time) + " is out of range: want " +
                                          to_text(least) + " to " + to_text(most));
}

// 0 is what nothing was said of.
Microseconds either(Microseconds asked, Microseconds configured) { return asked.value == 0 ? configured : asked; }

}  // namespace

Status check_maximum_downtime(Microseconds time) {
  return check_range("maximum downtime", time, {1'000}, {60'000'000});
}

Status check_maximum_time(Microseconds time) {
  return check_range("maximum time", time, {100'000}, {168 * std::uint64_t{3'600'000'000}});
}

Status check_post_copy(const Policy& policy) {
  if (policy.post_copy) return {};
  return fail(Code::denied,
              "post-copy: this host's configuration refuses it, as a guest is lost where either hypervisor, agent, "
              "host or the link dies "
              "before its memory has followed; module.migration.post_copy = \"accept-loss\" allows it");
}

Result<SourceOptions> source_options(const Policy& policy, const MigrateRequest& request) {
  SourceOptions options;
  if (request.options.recover)
    return fail(Code::invalid_argument, "a broken post-copy is taken up by its migration's id");
  options.hypervisor = request.options;
  options.hypervisor.stop_and_copy = policy.non_live;  // the operator's word, not the caller's
  options.hypervisor.bandwidth = {};
  options.bandwidth = request.options.bandwidth.value == 0 ? policy.bandwidth : request.options.bandwidth;
  VMSEC_CHECK(check_bandwidth(options.bandwidth));
  options.hypervisor.auto_converge = request.options.auto_converge || policy.auto_converge;
  if (request.options.post_copy) VMSEC_CHECK(check_post_copy(policy));
  if (request.options.post_copy && request.options.bulk_channels != 0 &&
      request.options.bulk_channels != kNoBulkChannels)
    return fail(Code::invalid_argument, "post-copy and bulk channels do not go together");
  if (request.options.post_copy && request.options.copy_disks)
    return fail(Code::invalid_argument,
                "post-copy and copies of disks do not go together: one that breaks would leave the guest's last writes "
                "to its disks at a host that has not the guest");
  Microseconds& downtime = options.hypervisor.maximum_downtime;
  downtime = either(request.options.maximum_downtime, policy.maximum_downtime);
  if (downtime.value != 0) VMSEC_CHECK(check_maximum_downtime(downtime));
  options.maximum_time = either(request.maximum_time, policy.maximum_time);
  if (options.maximum_time.value != 0) VMSEC_CHECK(check_maximum_time(options.maximum_time));
  return options;
}

std::uint32_t bulk_channels(const Policy& policy, const MigrateRequest& request, const DomainDescription& domain,
                            std::uint32_t cpus) {
  const std::uint32_t asked = request.options.bulk_channels;
  if (asked == kNoBulkChannels || request.options.post_copy) return 0;
  if (asked != 0) return asked;
  if (policy.bulk_channels) return *policy.bulk_channels;
  std::uint32_t others = 2;
  if (request.options.copy_disks)
    others += static_cast<std::uint32_t>(std::ranges::count(domain.disks, std::string(), &DescribedDisk::stays));
  const std::uint32_t room = policy.max_streams > others ? policy.max_streams - others : 0;
  return bulk_channels_for(cpus, std::min(domain.bulk_channels, room));
}

}  // namespace vmsec::migration
