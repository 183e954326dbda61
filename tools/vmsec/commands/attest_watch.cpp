// vmsec attest status, watch, revoke: what is known of the enrolled hosts, and what changes.
#include <algorithm>

#include "commands/commands.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::cli {
namespace {

constexpr Microseconds kChangePatience{500'000};  // so that Ctrl-C is answered soon

struct ChangeQuery {
  std::uint64_t after = 0;
  std::uint64_t count = 0;  // 0: no bound
};

std::string coloured_verdict(Verdict verdict) {
  return coloured(verdict == Verdict::trusted ? Colour::green : Colour::red, std::string(to_string(verdict)));
}

std::string age_text(const HostVerdict& host) {
  return host.checked.value == 0 ? "never" : std::to_string(host.age) + " s ago";
}

void print_verdicts(const VerdictList& list) {
  if (list.hosts.empty()) {
    std::puts("no host is enrolled");
    return;
  }
  Table table({"HOST", "VERDICT", "SINCE", "CHECKED", "CAUSE"});
  for (const auto& host : list.hosts)
    table.add({host.host, coloured_verdict(host.verdict), human_time(host.since), age_text(host), host.cause});
  table.print();
  if (list.watch_seconds == 0)
    std::fprintf(stderr, "vmsec: hosts are attested on request only: watch_seconds is not set\n");
}

// The worst of them: what is known to be wrong comes before what is not known.
Exit exit_of_verdicts(const VerdictList& list) {
  Exit worst = Exit::ok;
  for (const auto& host : list.hosts) {
    if (host.verdict == Verdict::untrusted || host.verdict == Verdict::stale) return Exit::refused;
    if (host.verdict != Verdict::trusted) worst = Exit::environment;
  }
  return worst;
}

Ending show_verdicts(Context& context, const VerdictQuery& query) {
  VMSEC_TRY(const auto attestation, context.open<Attestation>());
  VMSEC_TRY(const auto list, attestation->status(query));
  context.print(list, print_verdicts);
  return exit_of_verdicts(list);
}

void print_change_header() { std::printf("%8s  %-23s  %-24s  %s\n", "NUMBER", "TIME", "VERDICT", "HOST, CAUSE"); }

void print_change(const AttestationChange& change) {
  const std::string verdicts = std::string(to_string(change.before)) + " to " + std::string(to_string(change.after));
  std::printf("%8llu  %s  %-24s  %s%s%s\n", static_cast<unsigned long long>(change.sequence),
              human_time(change.time).c_str(), verdicts.c_str(), safe(change.host).c_str(),
              change.cause.empty() ? "" : "  ", safe(change.cause).c_str());
}

Ending watch_verdicts(Context& context, const ChangeQuery& wanted) {
  VMSEC_TRY(const auto attestation, context.open<Attestation>());
  watch_interrupt();
  if (!context.options.json) print_change_header();
  std::uint64_t after = wanted.after;
  std::uint64_t shown = 0;
  while (!interrupted()) {
    VMSEC_TRY(const AttestationChanges list, attestation->next(NextVerdicts{after, kChangePatience, 0}));
    if (list.missed > 0)
      std::fprintf(stderr, "vmsec: %llu changes were no longer kept\n", static_cast<unsigned long long>(list.missed));
    for (const auto& change : list.changes) {
      if (context.options.json)
        Context::print_json_line(to_json(change));  // a stream has no end that could close an array
      else
        print_change(change);
      after = change.sequence;
      if (++shown == wanted.count) return Exit::ok;
    }
    std::fflush(stdout);
  }
  return Exit::ok;
}

Ending revoke_host(Context& context, RevokeHost request) {
  request.by = calling_person();
  VMSEC_TRY(const auto attestation, context.open<Attestation>());
  VMSEC_TRY(const auto done, attestation->revoke(request));
  context.print(done, [](const HostVerdict& host) {
    print_facts({{"host", host.host}, {"verdict", coloured_verdict(host.verdict)}, {"cause", host.cause}});
  });
  return Exit::ok;
}

void add_verdict_status(CLI::App& attest, Context& context) {
  auto query = std::make_shared<VerdictQuery>();
  auto* command = attest.add_subcommand("status", "The last verdict on each enrolled host, and how old it is");
  command->add_option("HOST", query->host, "Only this one");
  command->footer(
      "Exit codes: 0 all are trusted, 3 one is untrusted or stale, 1 one is unreachable or was not attested yet.\n\n"
      "Examples:\n  vmsec attest status\n  vmsec attest status host-b --json");
  context.on(command, [&context, query] { return show_verdicts(context, *query); });
}

void add_verdict_watch(CLI::App& attest, Context& context) {
  auto wanted = std::make_shared<ChangeQuery>();
  auto* command = attest.add_subcommand("watch", "Changes of verdicts as they come, until Ctrl-C");
  command->add_option("--after", wanted->after, "Only changes with a higher number")->type_name("N");
  command->add_option("--count", wanted->count, "At most so many")->type_name("N")->check(CLI::Range(1, 100000));
  command->footer(
      "With --json one object a line.\n\n"
      "Examples:\n  vmsec attest watch\n  vmsec attest watch --json | jq .host");
  context.on(command, [&context, wanted] { return watch_verdicts(context, *wanted); });
}

void add_host_revoke(CLI::App& attest, Context& context) {
  auto request = std::make_shared<RevokeHost>();
  auto* command = attest.add_subcommand("revoke", "Your word that a host is not to be trusted, whatever it shows");
  command->add_option("HOST", request->host, "An enrolled host")->required();
  command->add_option("--reason", request->reason, "Why, for the record")->required()->type_name("TEXT");
  command->add_flag("--undo", request->undo, "Takes the word back");
  command->footer(
      "In force until it is taken back, or the host is enrolled with --replace. Migrations to it are given up.\n\n"
      "Examples:\n  vmsec attest revoke host-b --reason \"stolen\"\n"
      "  vmsec attest revoke host-b --undo --reason \"found again\"");
  context.on(command, [&context, request] { return revoke_host(context, *request); });
}

}  // namespace

void add_attest_watch(CLI::App& attest, Context& context) {
  add_verdict_status(attest, context);
  add_verdict_watch(attest, context);
  add_host_revoke(attest, context);
}

}  // namespace vmsec::cli
