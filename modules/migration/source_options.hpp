// What a migration is to be like: as it was asked for, and where nothing was said, as the configuration says.
#pragma once

#include "policy.hpp"

namespace vmsec::migration {

struct SourceOptions {
  MigrationOptions hypervisor;  // for both hypervisors; its bulk_channels are bulk_channels()
  // The module's own: it holds on every hypervisor, and can be changed on the way.
  BytesPerSecond bandwidth = kUnlimitedBandwidth;
  Microseconds maximum_time;  // until the switch-over begins; 0: none
};

// `invalid_argument` for what cannot be meant: 1 ms to 1 min, and 100 ms to 168 h.
Status check_maximum_downtime(Microseconds time);
Status check_maximum_time(Microseconds time);

// `denied` unless the operator has accepted in words what it may cost.
Status check_post_copy(const Policy& policy);

// `invalid_argument` for what cannot be meant.
Result<SourceOptions> source_options(const Policy& policy, const MigrateRequest& request);

// Of the request, else of the configuration, else by the CPUs: no more than the hypervisor has, and than max_streams
// leaves beside control, main and the disks that go along.
std::uint32_t bulk_channels(const Policy& policy, const MigrateRequest& request, const DomainDescription& domain,
                            std::uint32_t cpus);

}  // namespace vmsec::migration
