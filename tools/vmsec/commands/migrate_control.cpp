// vmsec migrate status, list, resolve, recover, abort, set.
#include <algorithm>

#include "commands/commands.hpp"
#include "interrupt.hpp"
#include "migration_report.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

constexpr Microseconds kAbortPatience{10'000'000};

// Where no id was given: the one that began last.
Ending status(Context& context, const std::string& id) {
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  MigrationStatus found;
  if (id.empty()) {
    VMSEC_TRY(const auto list, migrator->list({}));
    if (list.migrations.empty()) return usage_error("migrate status: this host has moved no VM, and received none");
    found = list.migrations.back();
  } else {
    VMSEC_TRY(const Uuid migration, Uuid::parse(id));
    VMSEC_TRY(found, migrator->status(MigrationRef{migration, Microseconds{0}}));
  }
  context.print(found, [&](const MigrationStatus& status) { print_report(status, state_here(context, status)); });
  // The question was answered, whatever the answer: only what somebody must end is no success.
  return found.state == MigrationState::in_doubt ? Exit::in_doubt : Exit::ok;
}

Ending list_migrations(Context& context) {
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  VMSEC_TRY(const auto found, migrator->list({}));
  context.print(found, print_migrations);
  return Exit::ok;
}

Ending resolve(Context& context, const std::string& id, const std::string& fenced) {
  ResolveMigration request;
  request.fenced = fenced;
  if (!id.empty()) {
    VMSEC_TRY(request.migration, Uuid::parse(id));
  }
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  VMSEC_TRY(const auto resolved, migrator->resolve(request));
  context.print(resolved, [](const MigrationList& list) {
    if (list.migrations.empty())
      std::puts("nothing to resolve");
    else
      print_migrations(list);
    for (const auto& each : list.migrations)
      if (each.state == MigrationState::in_doubt || each.state == MigrationState::lost)
        std::printf("%s: %s\n", each.migration.text().c_str(), each.cause.c_str());
  });
  const auto any = [&](MigrationState state) {
    return std::ranges::find(resolved.migrations, state, &MigrationStatus::state) != resolved.migrations.end();
  };
  if (!any(MigrationState::in_doubt) && any(MigrationState::lost))
    return fail_with(
        Error{Code::internal, "resolve: neither host has the guest any more", 0, {}},
        "resolve at the other host too; then \"vmsec vm start VM\" at one host only starts it anew from its "
        "disks, and \"vmsec vm undefine VM\" removes what the other has of it");
  if (!any(MigrationState::in_doubt)) return Exit::ok;
  return fail_with(Error{Code::in_doubt, "resolve: some are still in doubt", 0, {}},
                   "each one's cause is above: start the other host's agent if it is down, and run it again; after a "
                   "broken post-copy \"vmsec migrate recover ID\", or see docs/cli.md; only where the other host is "
                   "off for good: --fenced HOST");
}

Ending recover(Context& context, const std::string& id, bool detach) {
  VMSEC_TRY(const Uuid migration, Uuid::parse(id));
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  if (!detach) watch_interrupt();
  VMSEC_TRY(const auto begun, migrator->recover(MigrationRef{migration, {}}));
  return follow_migration(context, *migrator, begun, detach);
}

Ending abort_migration(Context& context, const std::string& id) {
  VMSEC_TRY(const Uuid migration, Uuid::parse(id));
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  VMSEC_TRY(const auto aborted, migrator->abort(MigrationRef{migration, kAbortPatience}));
  context.print(aborted, [](const MigrationStatus& status) { print_report(status); });
  if (!has_ended(aborted.state))
    std::fprintf(stderr, "vmsec: the abort was asked for, and is not over yet: \"vmsec migrate status %s\"\n",
                 id.c_str());
  return aborted.state == MigrationState::in_doubt ? Exit::in_doubt : Exit::ok;
}

Ending set(Context& context, const std::string& vm, const std::string& bandwidth) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, vm));
  SetMigration request{domain.domain, {}};
  VMSEC_TRY(request.bandwidth, bandwidth_of(bandwidth));
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  VMSEC_TRY(const auto changed, migrator->set(request));
  context.print(changed, [](const MigrationStatus& status) { print_report(status); });
  return Exit::ok;
}

}  // namespace

Result<BytesPerSecond> bandwidth_of(const std::string& text) {
  if (text == "unlimited") return kUnlimitedBandwidth;
  VMSEC_TRY(const BytesPerSecond rate, parse_rate(text));
  if (rate.value == 0) return fail(Code::invalid_argument, "--bandwidth 0 is no limit: want more, or \"unlimited\"");
  return rate;
}

std::optional<DomainState> state_here(Context& context, const MigrationStatus& status) {
  if (status.state != MigrationState::in_doubt && status.state != MigrationState::lost) return std::nullopt;
  const auto domains = context.open<DomainControl>();
  if (!domains) return std::nullopt;
  const auto domain = (*domains)->get({status.domain});
  return domain ? std::optional(domain->state) : std::nullopt;
}

void add_migrate_control(CLI::App& migrate, Context& context) {
  auto id = std::make_shared<std::string>();
  auto fenced = std::make_shared<std::string>();

  auto* status_command = migrate.add_subcommand("status", "How a migration goes, or went");
  status_command->add_option("ID", *id, "The migration's id; without it, the latest");
  status_command->footer(
      "Exit codes: 0 whatever its state is, 4 in doubt.\n\n"
      "Examples:\n  vmsec migrate status\n  vmsec migrate status 0b9e4f6a-... --json");
  context.on(status_command, [&context, id] { return status(context, *id); });

  auto* list_command = migrate.add_subcommand("list", "Migrations under way, in doubt, and the last that ended");
  list_command->footer("Examples:\n  vmsec migrate list");
  context.on(list_command, [&context] { return list_migrations(context); });

  auto* resolve_command = migrate.add_subcommand("resolve", "Bring migrations in doubt to their one end");
  resolve_command->add_option("ID", *id, "The migration's id; without it, all");
  resolve_command
      ->add_option("--fenced", *fenced, "Your word, kept in the audit log, that this host is off and stays off")
      ->type_name("HOST");
  resolve_command->footer(
      "From both hosts' records it follows who runs the VM. If the other host is lost for good, --fenced HOST\n"
      "takes your word for it: should that host run after all, the VM may run twice.\n"
      "Exit codes: 0 all are decided, 1 a guest is lost, 4 some are in doubt.\n\n"
      "Examples:\n  vmsec migrate resolve\n  vmsec migrate resolve 0b9e4f6a-... --fenced host-b");
  context.on(resolve_command, [&context, id, fenced] { return resolve(context, *id, *fenced); });

  auto detach = std::make_shared<bool>(false);
  auto* recover_command = migrate.add_subcommand("recover", "Take up a post-copy that broke, from its source (kvm)");
  recover_command->add_option("ID", *id, "The migration's id")->required();
  recover_command->add_flag("--detach", *detach, "Return at once");
  recover_command->footer(
      "Where both QEMUs live still, what is left of the VM's memory follows after all. What fails leaves both as they\n"
      "were: it may be tried again.\n"
      "Exit codes: 0 the VM is whole at the destination, 4 still in doubt; others as of migrate.\n\n"
      "Examples:\n  vmsec migrate recover 0b9e4f6a-5d27-4f53-8d3c-94a1c2b7e801");
  context.on(recover_command, [&context, id, detach] { return recover(context, *id, *detach); });

  auto* abort_command = migrate.add_subcommand("abort", "Stop a migration; the VM goes on at the source");
  abort_command->add_option("ID", *id, "The migration's id")->required();
  abort_command->footer("Examples:\n  vmsec migrate abort 0b9e4f6a-5d27-4f53-8d3c-94a1c2b7e801");
  context.on(abort_command, [&context, id] { return abort_migration(context, *id); });

  auto vm = std::make_shared<std::string>();
  auto bandwidth = std::make_shared<std::string>();
  auto* set_command = migrate.add_subcommand("set", "Change a migration that is under way from this host");
  set_command->add_option("VM", *vm, "Its name or UUID")->required();
  set_command->add_option("--bandwidth", *bandwidth, "At most so fast from now on: 1Gbit/s; or unlimited")
      ->type_name("RATE")
      ->required();
  set_command->footer(
      "Examples:\n  vmsec migrate set web-1 --bandwidth 1Gbit/s\n  vmsec migrate set web-1 --bandwidth unlimited");
  context.on(set_command, [&context, vm, bandwidth] { return set(context, *vm, *bandwidth); });
}

}  // namespace vmsec::cli
