// What a migration asks libvirt about a domain, and has it do, outside of the
// migration itself.
#pragma once

#include <string>
#include <vector>

#include "connection.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::kvm {

Result<DomainDescription> describe_domain(const Connection& connection, const Uuid& uuid);
// What copy_disks would copy of it, and what not; needs the configuration.
Status add_disks(const Connection& connection, const std::vector<std::string>& shared_roots,
                 DomainDescription& description);
// What this host has of it; a domain that libvirt has not is not an error here.
enum class Left { unknown, told_loaded };  // told_loaded: see HeldDomains
Result<Holding> domain_holding(const Connection& connection, const Uuid& uuid, Left left = Left::unknown);
// Of the job under way, or of the one that has ended.
enum class Job { active, completed };
Result<TransferProgress> job_progress(const Connection& connection, const Uuid& uuid, Job job);

// Runs a paused domain; one that runs is fine already.
Status run_domain(const Connection& connection, const Uuid& uuid, const std::string& operation);
// Destroys what a broken post-copy has left of a domain, paused; its definition stays. Any other copy stays as it is.
Status destroy_broken_domain(const Connection& connection, const Uuid& uuid, const std::string& operation);
// Destroys a paused domain and its definition; one that is not there is fine.
// `wrong_state` for a domain that runs.
Status remove_domain(const Connection& connection, const Uuid& uuid, const std::string& operation);
// Refuses where the domain is not what an incoming post-copy that broke has left, running.
Status expect_behind(const Connection& connection, const Uuid& uuid, const std::string& name);
// Whether its post-copy is on again.
Result<bool> follows_again(const Connection& connection, const Uuid& uuid);
// Refuses where a domain of this UUID or this name is here.
Status expect_absent(const Connection& connection, const Uuid& uuid, const std::string& name);

}  // namespace vmsec::kvm
