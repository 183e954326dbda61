// What a migration does to domains, each step one call of the toolstack. Each may be repeated.
#pragma once

#include "context.hpp"
#include "domain.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::xen {

inline constexpr std::string_view kFormat = "libxl-json";

// The configuration as the domain was built, with the shares and the memory target that it has now.
// Without pinning and pool: another host has other CPUs.
Result<DomainDescription> describe_domain(const Context& context, const Uuid& uuid);

enum class Transfer { live, stopped };
// How it can be moved from here. `unsupported`, with what is missing, for one whose writes Xen cannot
// log while it runs, unless `stop_and_copy`; `wrong_state` for one that does not run.
Result<Transfer> check_outgoing(const Context& context, const Uuid& uuid, bool stop_and_copy);
// `already_exists` where the domain, or another of its name, is here; `limit_exceeded` where it does not fit.
Status check_absent(const Context& context, const DomainDescription& description);

Result<Holding> holding_of(const Context& context, const Uuid& uuid);
// A copy that came from elsewhere, or one that was only paused, runs.
Status activate_domain(const Context& context, const Uuid& uuid, const std::string& operation);
// A copy that was stopped to be sent goes on; one that was not goes on as it is.
enum class Paused { goes_on, stays };
Status reclaim_domain(const Context& context, const Uuid& uuid, Paused paused, const std::string& operation);
// Takes down a copy that does not run: `wrong_state` for one that does. None there: done before.
Status remove_domain(const Context& context, const Uuid& uuid, const std::string& operation);

}  // namespace vmsec::xen
