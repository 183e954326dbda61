// vmsec attest: has a host booted what the reference says? And enrol, learn.
#include <algorithm>
#include <array>

#include "commands/attest_guest.hpp"
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::cli {
namespace {

std::string verdict_text(Verdict verdict) {
  const Colour colour = verdict == Verdict::trusted ? Colour::green : Colour::red;
  return coloured(colour, std::string(to_string(verdict)));
}

}  // namespace

// Without evidence there is no key, no count and no time to tell of.
void print_attestation(const AttestationReport& report, const std::string& what) {
  std::vector<Fact> facts = {{what, report.host}, {"verdict", verdict_text(report.verdict)}};
  if (!report.cause.empty()) facts.push_back({"cause", report.cause});
  if (!report.attestation_key.empty()) facts.push_back({"attestation key", report.attestation_key});
  if (!report.pcrs.empty()) {
    facts.push_back({"resets", std::to_string(report.reset_count)});
    facts.push_back({"restarts", std::to_string(report.restart_count)});
    if (report.resets_since != 0) facts.push_back({"resets since the last look", std::to_string(report.resets_since)});
    facts.push_back({"events in the log", std::to_string(report.events)});
    facts.push_back({"verified", human_time(report.time)});
  }
  print_facts(facts);
  if (report.pcrs.empty()) return;
  std::puts("");
  Table table({"PCR", "BANK", "VALUE", "AS EXPECTED", "REFERENCE"});
  for (const auto& pcr : report.pcrs)
    table.add({std::to_string(pcr.pcr), pcr.algorithm, pcr.value,
               pcr.expected ? coloured(Colour::green, "yes") : coloured(Colour::red, "no"),
               pcr.expected ? "" : pcr.reference});
  table.print();
}

Exit exit_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::trusted:
      return Exit::ok;
    case Verdict::untrusted:
    case Verdict::stale:
      return Exit::refused;
    case Verdict::unreachable:
    case Verdict::unknown:
      return Exit::environment;
  }
  return Exit::environment;
}

void print_enrolment(const Enrolment& made, const std::string& what) {
  print_facts({{what, made.host},
               {"endorsement key", made.endorsement_key},
               {"attestation key", made.attestation_key},
               {"enrolled", human_time(made.time)}});
}

namespace {

// An empty name is this host.
Ending attest(Context& context, const std::string& host, bool local) {
  if (host.empty() == !local) return usage_error("attest: name a host, or give --local");
  VMSEC_TRY(const auto attestation, context.open<Attestation>());
  VMSEC_TRY(const auto report, attestation->attest(AttestHost{host, 0}));
  context.print(report, [](const AttestationReport& made) { print_attestation(made, "host"); });
  return exit_of(report.verdict);
}

Ending enrol(Context& context, const EnrolHost& request) {
  VMSEC_TRY(const auto attestation, context.open<Attestation>());
  auto done = attestation->enrol(request);
  if (!done && done.error().code == Code::already_exists)
    return fail_with(done.error(), "if that host's TPM was changed on purpose: --replace");
  VMSEC_TRY(const Enrolment enrolment, std::move(done));
  context.print(enrolment, [](const Enrolment& made) { print_enrolment(made, "host"); });
  return Exit::ok;
}

Ending learn(Context& context, const std::string& host) {
  VMSEC_TRY(const auto attestation, context.open<Attestation>());
  VMSEC_TRY(const auto reference, attestation->learn(LearnReference{host}));
  context.print(reference, [](const ReferenceText& text) { std::fputs(text.toml.c_str(), stdout); });
  return Exit::ok;
}

}  // namespace

void add_attest(CLI::App& app, Context& context) {
  auto host = std::make_shared<std::string>();
  auto local = std::make_shared<bool>(false);
  auto* attest_command = app.add_subcommand("attest", "Has a host booted what its reference says?");
  attest_command->require_subcommand(0, 1);
  attest_command->add_option("HOST", *host, "A peer of this host");
  attest_command->add_flag("--local", *local, "This host itself");
  attest_command->footer(
      "Exit codes: 0 trusted, 3 untrusted or stale, 1 unreachable.\n\n"
      "Examples:\n  vmsec attest host-b\n  vmsec attest --local --json");
  auto* parsed = attest_command;
  // Behind the subcommand's own: a name too many is taken for this one's HOST, and is never passed over in silence.
  attest_command->callback([&context, host, local, parsed] {
    const auto chosen = parsed->get_subcommands();
    if (chosen.empty()) {
      context.action = [&context, host, local] { return attest(context, *host, *local); };
    } else if (!host->empty() || *local) {
      const std::string extra = *local ? "--local" : "\"" + *host + "\"";
      context.action = [name = chosen.front()->get_name(), extra]() -> Ending {
        return usage_error("attest " + name + ": " + extra + " was not expected");
      };
    }
  });

  auto request = std::make_shared<EnrolHost>();
  auto* enrol_command = attest_command->add_subcommand("enrol", "Prove a host's attestation key, and remember it");
  auto guest = std::make_shared<std::string>();
  auto* enrolled = enrol_command->add_option("HOST", request->host, "A peer of this host");
  enrol_command->add_option("--guest", *guest, "A VM of this host, by its own TPM")->excludes(enrolled);
  enrol_command->add_flag("--replace", request->replace, "Your word that its key may change");
  enrol_command->footer(
      "Examples:\n  vmsec attest enrol host-b\n  vmsec attest enrol host-b --replace\n  vmsec attest enrol --guest "
      "web-1");
  context.on(enrol_command, [&context, request, guest]() -> Ending {
    if (!guest->empty()) return enrol_guest(context, *guest, request->replace);
    if (request->host.empty()) return usage_error("attest enrol: name a host, or a VM by --guest");
    return enrol(context, *request);
  });

  auto learned = std::make_shared<std::string>();
  auto* learn_command = attest_command->add_subcommand("learn", "A reference from a host as it is now, to be reviewed");
  auto* peer = learn_command->add_option("HOST", *learned, "A peer; without it, this host");
  auto vm = std::make_shared<std::string>();
  learn_command->add_option("--guest", *vm, "A VM of this host, by its own TPM")->excludes(peer);
  learn_command->footer(
      "Examples:\n  vmsec attest learn host-b > golden.toml\n  vmsec attest learn --guest web-1 > default.toml\n"
      "  vmsec attest learn --log monday.bin --log tuesday.bin -o golden.toml\n"
      "  vmsec attest learn --log boot.bin --modules modules.log --ima ima.list -o golden.toml");
  const auto offline = add_attest_reference(*attest_command, *learn_command, context);
  context.on(learn_command, [&context, learned, vm, offline, learn_command]() -> Ending {
    const auto is_given = [&](const char* option) { return learn_command->count(option) != 0; };
    const bool from_logs =
        std::ranges::any_of(std::array{"--log", "--modules", "--ima", "--base", "--bank", "--output"}, is_given);
    if (!vm->empty() && from_logs) return usage_error("attest learn: --guest or --log, not both");
    if (!vm->empty()) return learn_guest(context, *vm);
    auto ended = offline(*learned);
    return ended ? std::move(*ended) : learn(context, *learned);
  });
  add_attest_guest(*attest_command, context);
  add_attest_log(*attest_command, context);
  add_attest_watch(*attest_command, context);
}

}  // namespace vmsec::cli
