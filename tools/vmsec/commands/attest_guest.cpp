// vmsec attest guest, and release: has a VM booted what its reference says, and what it may have then.
#include "commands/attest_guest.hpp"

#include "commands/commands.hpp"
#include "input.hpp"
#include "output.hpp"
#include "vmsec/service/guest_attestation.hpp"

namespace vmsec::cli {
namespace {

Result<Uuid> domain_of(Context& context, const std::string& vm) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto info, find_domain(*domains, vm));
  return info.domain;
}

Ending attest_guest(Context& context, const std::string& vm) {
  VMSEC_TRY(const Uuid domain, domain_of(context, vm));
  VMSEC_TRY(const auto guests, context.open<GuestAttestation>());
  VMSEC_TRY(const auto report, guests->attest({domain}));
  context.print(report, [](const AttestationReport& made) { print_attestation(made, "guest"); });
  return exit_of(report.verdict);
}

struct ReleaseWish {
  std::string vm;
  std::string file;
  std::string name = "disk.key";
};

Ending release(Context& context, const ReleaseWish& wish) {
  const std::string file = wish.file == "-" ? "/dev/stdin" : wish.file;
  VMSEC_TRY(const auto secret, read_input("secret", file, kMaxGuestSecret));
  if (secret.empty()) return usage_error("attest release: " + wish.file + " is empty");
  VMSEC_TRY(const Uuid domain, domain_of(context, wish.vm));
  VMSEC_TRY(const auto guests, context.open<GuestAttestation>());
  VMSEC_TRY(const auto done, guests->release({domain, wish.name, secret}));
  context.print(done, [&](const SecretRelease& made) {
    print_attestation(made.report, "guest");
    std::printf("\n%s\n", made.released ? ("secret " + wish.name + " is with the guest").c_str()
                                        : ("secret " + wish.name + " was not released").c_str());
  });
  // A report that says "trusted" and no released secret would be no report of ours.
  if (done.report.verdict == Verdict::trusted && !done.released) return Exit::environment;
  return exit_of(done.report.verdict);
}

}  // namespace

Ending enrol_guest(Context& context, const std::string& vm, bool replace) {
  VMSEC_TRY(const Uuid domain, domain_of(context, vm));
  VMSEC_TRY(const auto guests, context.open<GuestAttestation>());
  auto done = guests->enrol({domain, replace});
  if (!done && done.error().code == Code::already_exists)
    return fail_with(done.error(), "if that guest's TPM was changed on purpose: --replace");
  VMSEC_TRY(const Enrolment enrolment, std::move(done));
  context.print(enrolment, [](const Enrolment& made) { print_enrolment(made, "guest"); });
  return Exit::ok;
}

Ending learn_guest(Context& context, const std::string& vm) {
  VMSEC_TRY(const Uuid domain, domain_of(context, vm));
  VMSEC_TRY(const auto guests, context.open<GuestAttestation>());
  VMSEC_TRY(const auto reference, guests->learn({domain}));
  context.print(reference, [](const ReferenceText& text) { std::fputs(text.toml.c_str(), stdout); });
  return Exit::ok;
}

void add_attest_guest(CLI::App& attest, Context& context) {
  auto vm = std::make_shared<std::string>();
  auto* guest_command = attest.add_subcommand("guest", "Has a VM booted what its reference says? By its own TPM");
  guest_command->add_option("VM", *vm, "Name or UUID")->required();
  guest_command->footer(
      "Exit codes: 0 trusted, 3 untrusted or stale, 1 unreachable.\n\n"
      "Examples:\n  vmsec attest guest web-1");
  context.on(guest_command, [&context, vm] { return attest_guest(context, *vm); });

  auto wish = std::make_shared<ReleaseWish>();
  auto* release_command = attest.add_subcommand("release", "Give a VM a secret, if it is trusted");
  release_command->add_option("VM", wish->vm, "Name or UUID")->required();
  release_command->add_option("--secret-file", wish->file, "The secret, at most 4096 bytes; - is standard input")
      ->required();
  release_command->add_option("--name", wish->name, "What the guest calls it (default disk.key)");
  release_command->footer(
      "Attests the VM afresh. Exit codes: 0 released, 3 untrusted or stale, 1 unreachable.\n\n"
      "Examples:\n  vmsec attest release web-1 --secret-file disk.key\n"
      "  pass show web-1 | vmsec attest release web-1 --secret-file -");
  context.on(release_command, [&context, wish] { return release(context, *wish); });
}

}  // namespace vmsec::cli
