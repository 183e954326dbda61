// vmsec migrate VM --to HOST: starts a migration and stays with it to its end.
#include <algorithm>
#include <array>

#include "commands/commands.hpp"
#include "interrupt.hpp"
#include "migration_report.hpp"
#include "output.hpp"
#include "tickets.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

constexpr Microseconds kPatience{300'000};

struct Wish {
  TicketWish ticket;
  std::string ticket_file;
  std::string cipher = "configured";
  std::string bulk_channels = "configured";
  std::string bandwidth;
  std::string maximum_downtime;
  bool copy_disks = false;
  std::string maximum_time;
  bool auto_converge = false;
  bool post_copy = false;
  bool detach = false;
};

constexpr std::array kCiphers = {Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none};

std::vector<std::string> cipher_names() {
  std::vector<std::string> names = {"configured"};
  for (const auto cipher : kCiphers) names.emplace_back(to_string(cipher));
  return names;
}

Cipher cipher_of(const std::string& name) {
  const auto found = std::ranges::find(kCiphers, name, [](Cipher cipher) { return to_string(cipher); });
  return found == kCiphers.end() ? Cipher::policy : *found;
}

// The cause, or nothing.
std::string check_channels(const std::string& text) {
  std::string number = text;
  return text == "configured" ? std::string() : CLI::Range(0, 64)(number);
}

// As it was checked.
std::uint32_t channels_of(const std::string& text) {
  if (text == "configured") return 0;
  const auto number = static_cast<std::uint32_t>(std::stoul(text));
  return number == 0 ? kNoBulkChannels : number;
}

Result<std::string> ticket_of(Context& context, const Wish& wish) {
  const bool in_place = !wish.ticket.placement_key.empty();
  if (in_place == !wish.ticket_file.empty())
    return fail(Code::invalid_argument, "migrate: give --ticket FILE (or, in a lab, --placement-key FILE)");
  if (!in_place) return read_ticket_file(wish.ticket_file);
  if (wish.ticket.source_certificate.empty() || wish.ticket.destination_certificate.empty())
    return fail(Code::invalid_argument, "migrate: --placement-key wants --source-cert and --destination-cert too");
  std::fprintf(stderr,
               "vmsec: signing the ticket here, as --placement-key asks: right for a lab; elsewhere that key belongs "
               "to the control plane, never on a host\n");
  VMSEC_TRY(NewTicket ticket, make_ticket(context, wish.ticket));
  return std::move(ticket.bytes);
}

// Before a migration is made that can only fail.
Result<std::string> checked_peer(Context& context, const std::string& name) {
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto info, host->info({}));
  if (std::ranges::find(info.peers, name) != info.peers.end()) return name;
  std::string peers;
  for (const auto& peer : info.peers) peers += (peers.empty() ? "" : ", ") + peer;
  return fail(Code::not_found, "migrate to " + units::quoted(name) + ": it is no [[peer]] of " + info.name +
                                   (peers.empty() ? ", which has none" : "; its peers: " + peers));
}

// 0 would be what the configuration says.
Result<Microseconds> limit_of(std::string_view option, const std::string& text) {
  VMSEC_TRY(const Microseconds time, parse_duration(text));
  if (time.value == 0)
    return fail(Code::invalid_argument, std::string(option) + " 0 is no limit: want more, or leave it out");
  return time;
}

Result<MigrateRequest> request_of(Context& context, const Wish& wish) {
  MigrateRequest request;
  VMSEC_TRY(request.destination, checked_peer(context, wish.ticket.destination));
  request.cipher = cipher_of(wish.cipher);
  request.options.bulk_channels = channels_of(wish.bulk_channels);
  request.options.copy_disks = wish.copy_disks;
  if (!wish.bandwidth.empty()) {
    VMSEC_TRY(request.options.bandwidth, bandwidth_of(wish.bandwidth));
  }
  if (!wish.maximum_downtime.empty()) {
    VMSEC_TRY(request.options.maximum_downtime, limit_of("--max-downtime", wish.maximum_downtime));
  }
  if (!wish.maximum_time.empty()) {
    VMSEC_TRY(request.maximum_time, limit_of("--max-time", wish.maximum_time));
  }
  request.options.auto_converge = wish.auto_converge;
  request.options.post_copy = wish.post_copy;
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, wish.ticket.vm));
  request.domain = domain.domain;
  VMSEC_TRY(request.ticket, ticket_of(context, wish));
  return request;
}

// Until it has ended, or Ctrl-C: the agent goes on without us.
Result<MigrationStatus> stay_with(Migrator& migrator, MigrationStatus status) {
  ProgressMeter meter;
  ProgressLine line;
  while (!has_ended(status.state) && !interrupted()) {
    line.show(meter.line(status, ProgressMeter::Clock::now()));
    auto next = migrator.status(MigrationRef{status.migration, kPatience});
    if (!next) {
      line.end();
      return fail(next.error().in("migration " + status.migration.text() + " goes on without this command"));
    }
    status = std::move(*next);
  }
  line.end();
  return status;
}

Ending migrate(Context& context, const Wish& wish) {
  VMSEC_TRY(const auto request, request_of(context, wish));
  VMSEC_TRY(const auto migrator, context.open<Migrator>());
  if (!wish.detach) watch_interrupt();
  VMSEC_TRY(const auto begun, migrator->migrate(request));
  return follow_migration(context, *migrator, begun, wish.detach);
}

void add_wish(CLI::App& command, const std::shared_ptr<Wish>& wish, bool vm_required) {
  command.add_option("VM", wish->ticket.vm, "Its name or UUID")->required(vm_required);
  command.add_option("--to", wish->ticket.destination, "The destination, a peer of this host")->type_name("HOST");
  command.add_option("--ticket", wish->ticket_file, "The placement key's leave (vmsec ticket create)")
      ->type_name("FILE");
  command
      .add_option("--cipher", wish->cipher,
                  "configured: [module.migration] cipher of this host; none: readable on the wire, where both hosts' "
                  "configurations allow it")
      ->check(CLI::IsMember(cipher_names()))
      ->type_name("NAME");
  command
      .add_option("--bulk-channels", wish->bulk_channels,
                  "Memory in parallel over so many channels, 0 to 64; configured: [module.migration] bulk_channels")
      ->type_name("N")
      ->check(check_channels);
  command.add_option("--bandwidth", wish->bandwidth, "At most so fast: 500MB/s; or unlimited")->type_name("RATE");
  command.add_option("--max-downtime", wish->maximum_downtime, "Stop the guest for at most about: 300ms")
      ->type_name("DURATION");
  command.add_flag("--copy-disks", wish->copy_disks,
                   "The VM's disks go along, encrypted as its memory is; the destination makes their images");
  command.add_option("--max-time", wish->maximum_time, "Give up if the guest was not stopped within: 10min")
      ->type_name("DURATION");
  command.add_flag("--auto-converge", wish->auto_converge,
                   "Slow down a guest that writes faster than it is sent (kvm)");
  command.add_flag("--post-copy", wish->post_copy,
                   "Run it at the destination once its memory was passed over, and let the rest of its memory follow "
                   "(kvm, sim); both "
                   "hosts' configurations must accept that a crash meanwhile loses the VM");
  command.add_flag("--detach", wish->detach, "Print the migration's id and return at once");
  const char* lab = "In a lab: sign the ticket in place";
  command.add_option("--placement-key", wish->ticket.placement_key, "The placement key's private file")
      ->type_name("FILE")
      ->group(lab);
  command.add_option("--source-cert", wish->ticket.source_certificate, "This host's certificate")
      ->type_name("FILE")
      ->group(lab);
  command.add_option("--destination-cert", wish->ticket.destination_certificate, "The destination's certificate")
      ->type_name("FILE")
      ->group(lab);
}

constexpr const char* kExamples =
    "Examples:\n"
    "  vmsec migrate web-1 --to host-b --ticket web-1.ticket\n"
    "  vmsec migrate web-1 --to host-b --ticket web-1.ticket --bandwidth 500MB/s --max-downtime 300ms\n"
    "  vmsec migrate web-1 --to host-b --placement-key placement.key \\\n"
    "      --source-cert host-a.crt --destination-cert host-b.crt";

Ending start(Context& context, const Wish& wish) {
  if (wish.ticket.vm.empty() || wish.ticket.destination.empty())
    return usage_error("migrate: name the VM and the destination: vmsec migrate VM --to HOST --ticket FILE");
  return migrate(context, wish);
}

}  // namespace

Ending follow_migration(Context& context, Migrator& migrator, const MigrationStatus& begun, bool detach) {
  const std::string id = begun.migration.text();
  if (detach) {
    context.print(begun, [&](const MigrationStatus&) {
      std::printf("%s\n", id.c_str());
      std::fprintf(stderr, "vmsec: \"vmsec migrate status %s\" says how it goes\n", id.c_str());
    });
    return Exit::ok;
  }
  auto ended = stay_with(migrator, begun);
  if (!ended) return fail_with(ended.error(), "\"vmsec migrate status " + id + "\" says how it went");
  // A failure before the first guest byte is told by its cause alone.
  const bool failed = ended->state == MigrationState::failed;
  if (context.options.json)
    Context::print_json(to_json(*ended));
  else if (!failed || ended->guest_bytes.value > 0)
    print_report(*ended, state_here(context, *ended));
  if (!has_ended(ended->state)) {
    std::fprintf(stderr,
                 "vmsec: interrupted; the migration goes on: \"vmsec migrate status %s\", or \"... abort %s\"\n",
                 id.c_str(), id.c_str());
    return Exit::environment;
  }
  if (ended->state == MigrationState::completed) return Exit::ok;
  return std::unexpected(failure_of(*ended));
}

void add_migrate(CLI::App& app, Context& context) {
  auto wish = std::make_shared<Wish>();
  auto* migrate_command = app.add_subcommand("migrate", "Move a VM to another host, encrypted; status, resolve");
  migrate_command->require_subcommand(0, 1);
  add_wish(*migrate_command, wish, false);
  migrate_command->footer(kExamples);
  auto* parsed = migrate_command;
  migrate_command->callback([&context, wish, parsed] {
    if (parsed->get_subcommands().empty()) context.action = [&context, wish] { return start(context, *wish); };
  });
  auto* start_command = migrate_command->add_subcommand("start", "The same as \"vmsec migrate VM\"");
  add_wish(*start_command, wish, true);
  start_command->footer(std::string("Examples:\n  vmsec migrate start web-1 --to host-b --ticket web-1.ticket"));
  context.on(start_command, [&context, wish] { return start(context, *wish); });
  add_migrate_control(*migrate_command, context);
}

}  // namespace vmsec::cli
