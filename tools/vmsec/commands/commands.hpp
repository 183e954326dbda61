// The groups of commands, a file each. Each adds its commands, with examples.
#pragma once

#include <optional>

#include "context.hpp"
#include "vmsec/service/grants.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::cli {

void add_host(CLI::App& app, Context& context);
void add_vm(CLI::App& app, Context& context);
void add_vm_define(CLI::App& vm, Context& context);
void add_vm_limits(CLI::App& vm, Context& context);
void add_vm_events(CLI::App& vm, Context& context);
void add_top(CLI::App& app, Context& context);
void add_policy(CLI::App& app, Context& context);
void add_grant(CLI::App& app, Context& context);
void print_withdrawals(const std::vector<Withdrawal>& withdrawals);
// Who runs this, as far as the environment says. For the record beside what the kernel knows.
std::string calling_person();
void add_tenant(CLI::App& app, Context& context);
void add_ticket(CLI::App& app, Context& context);
void add_migrate(CLI::App& app, Context& context);
void add_migrate_control(CLI::App& migrate, Context& context);
// Of a migration in doubt: the VM's state on this host, where it has it. Else nothing is asked.
std::optional<DomainState> state_here(Context& context, const MigrationStatus& status);
// Shows one that has begun to its end, with its report; with `detach` only its id.
Ending follow_migration(Context& context, Migrator& migrator, const MigrationStatus& begun, bool detach);
// A rate, or "unlimited"; 0 is an error.
Result<BytesPerSecond> bandwidth_of(const std::string& text);
void add_attest(CLI::App& app, Context& context);
// explain, diff, and learn from logs: what that ended with, or nothing where a host is to be asked.
std::function<std::optional<Ending>(const std::string& host)> add_attest_reference(CLI::App& attest, CLI::App& learn,
                                                                                   Context& context);
void add_attest_log(CLI::App& attest, Context& context);
void add_attest_watch(CLI::App& attest, Context& context);
void add_audit(CLI::App& app, Context& context);
void add_pki(CLI::App& app, Context& context);
void add_objects(CLI::App& app, Context& context);  // module, plugin
void add_signing(CLI::App& app, Context& context);  // module key, sign, verify, inspect: after add_objects()
void add_trust(CLI::App& app, Context& context);    // module trust: after add_objects()
void add_module_new(CLI::App& module, Context& context);
void add_inspect(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

}  // namespace vmsec::cli
