// The groups of commands, a file each. Each adds its commands, with examples.
#pragma once

#include "context.hpp"

namespace vmsec::cli {

void add_host(CLI::App& app, Context& context);
void add_vm(CLI::App& app, Context& context);
void add_vm_limits(CLI::App& vm, Context& context);
void add_vm_events(CLI::App& vm, Context& context);
void add_policy(CLI::App& app, Context& context);
void add_ticket(CLI::App& app, Context& context);
void add_migrate(CLI::App& app, Context& context);
void add_migrate_control(CLI::App& migrate, Context& context);
void add_attest(CLI::App& app, Context& context);
void add_audit(CLI::App& app, Context& context);
void add_pki(CLI::App& app, Context& context);
void add_objects(CLI::App& app, Context& context);  // module, plugin
void add_doctor(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);

}  // namespace vmsec::cli
