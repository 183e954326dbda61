// vmsec policy: check, diff, apply.
#include <algorithm>

#include "commands/commands.hpp"
#include "input.hpp"
#include "output.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

using Call = Result<PolicyReport> (HostControl::*)(const PolicyText&);

Result<PolicyText> read_policy(const std::string& file) {
  if (file.empty()) return PolicyText{};  // the host's own
  VMSEC_TRY(std::string text, read_input("policy", file, PolicyLimits::kFileSize));
  // The agent takes an empty text for its own policy.
  if (text.empty()) text = "\n";
  return PolicyText{std::move(text), file};
}

Ending report_findings(const Context& context, const PolicyReport& report) {
  const std::string file = report.file.empty() ? "policy" : report.file;
  const std::string text = describe(Findings{report.findings}, file);
  if (context.options.json)
    Context::print_json(to_json(report));
  else
    std::fprintf(stderr, "%s%s", text.c_str(), text.ends_with('\n') ? "" : "\n");
  const auto count = report.findings.size();
  std::fprintf(stderr, "vmsec: %s: %zu finding%s; nothing was changed\n", file.c_str(), count, count == 1 ? "" : "s");
  return Exit::mistake;
}

// What is allowed and hardly meant: on standard error, beside whatever is printed.
void print_warnings(const PolicyReport& report) {
  const std::string file = report.file.empty() ? "policy" : report.file;
  for (const auto& warning : report.warnings)
    std::fprintf(stderr, "%s:%u:%u: warning: %s\n", file.c_str(), warning.line, warning.column,
                 safe(warning.message).c_str());
}

// The file's form, without a host: what every host would find.
std::optional<PolicyReport> form_findings(const PolicyText& policy) {
  if (policy.file.empty()) return std::nullopt;
  auto parsed = Policy::parse(policy.text);
  if (parsed) return std::nullopt;
  PolicyReport report;
  report.file = policy.file;
  report.findings = std::move(parsed.error().findings);
  return report;
}

Result<PolicyReport> ask_host(Context& context, Call call, const PolicyText& policy) {
  context.load_modules({"isolation", "throttle"});
  VMSEC_TRY(const auto host, context.open<HostControl>());
  return ((*host).*call)(policy);
}

// What this policy grants and stays withdrawn all the same.
void print_withdrawn(const PolicyReport& report) {
  if (report.withdrawn.empty()) return;
  std::puts("granted, and still withdrawn until \"vmsec grant restore ID\":");
  print_withdrawals(report.withdrawn);
}

enum class Scope { host, offline };
enum class Warnings { told, refused };

Ending refuse_warnings(const PolicyReport& report) {
  const auto count = report.warnings.size();
  std::fprintf(stderr, "vmsec: %s: %zu warning%s, and --strict lets none pass\n",
               report.file.empty() ? "policy" : report.file.c_str(), count, count == 1 ? "" : "s");
  return Exit::mistake;
}

Ending check_policy(Context& context, const std::string& file, Scope scope, Warnings warnings) {
  const bool offline = scope == Scope::offline;
  VMSEC_TRY(const auto policy, read_policy(file));
  if (file.empty() && offline) return usage_error("policy check --offline: name a file");
  if (const auto found = form_findings(policy)) return report_findings(context, *found);
  PolicyReport report;
  report.file = file;
  if (!offline) {
    auto answer = ask_host(context, &HostControl::check_policy, policy);
    if (!answer && answer.error().code == Code::unavailable)
      return fail_with(answer.error().in(file + " is well formed, but its modules' sections need a host to check"),
                       "--offline checks the file's form alone");
    VMSEC_TRY(report, std::move(answer));
  }
  if (!report.findings.empty()) return report_findings(context, report);
  print_warnings(report);
  context.print(report, [&](const PolicyReport&) {
    std::printf("%s: good%s\n", report.file.empty() ? "policy" : report.file.c_str(),
                offline ? " (its form; modules' sections need a host)" : "");
  });
  if (warnings == Warnings::refused && !report.warnings.empty()) return refuse_warnings(report);
  return Exit::ok;
}

void print_changes(const PolicyReport& report) {
  Table table({"VM", "MODULE", "WHAT", "IS", "WANTED"});
  std::size_t rows = 0;
  for (const auto& domain : report.domains)
    for (const auto& change : domain.changes) {
      table.add({domain.name, domain.module, change.what, change.is, change.wanted});
      ++rows;
    }
  if (rows > 0) table.print();
}

std::string signs(const GrantChange& change) {
  std::string text;
  const auto add = [&](const char* sign, const std::vector<std::string>& interfaces) {
    for (const auto& interface : interfaces) text += (text.empty() ? "" : ", ") + std::string(sign) + safe(interface);
  };
  add("+ ", change.granted);
  add("- ", change.withdrawn);
  return text.empty() ? "as another rule says" : text;
}

// Who may do what: a policy changes that too, and for VMs that are still to come.
void print_grants(const PolicyReport& report) {
  if (report.grants.empty()) return;
  Table table({"MODULE", "GRANT ON", "CHANGE", "VMS HERE"});
  for (const auto& change : report.grants) {
    std::string domains;
    for (const auto& name : change.domains) domains += (domains.empty() ? "" : ", ") + safe(name);
    table.add({change.module, safe(change.vms), signs(change), domains.empty() ? "none" : domains});
  }
  table.print();
}

// The gravest of what went wrong with single VMs; `ok` where nothing did.
Exit report_errors(const PolicyReport& report) {
  Exit worst = Exit::ok;
  for (const auto& domain : report.domains) {
    if (domain.error.empty()) continue;
    // The error names the module's act itself.
    std::fprintf(stderr, "vmsec: %s: %s\n", safe(domain.name).c_str(), safe(domain.error).c_str());
    worst = std::max(worst, exit_of(domain.code == Code::ok ? Code::internal : domain.code));
  }
  return worst;
}

std::size_t changes_of(const PolicyReport& report) {
  std::size_t changes = 0;
  for (const auto& domain : report.domains) changes += domain.changes.size();
  return changes + report.grants.size();
}

Ending diff_policy(Context& context, const std::string& file) {
  VMSEC_TRY(const auto policy, read_policy(file));
  if (const auto found = form_findings(policy)) return report_findings(context, *found);
  VMSEC_TRY(const auto report, ask_host(context, &HostControl::diff_policy, policy));
  if (!report.findings.empty()) return report_findings(context, report);
  print_warnings(report);
  context.print(report, [](const PolicyReport& found) {
    print_changes(found);
    print_grants(found);
    print_withdrawn(found);
    const bool all_known = std::ranges::all_of(found.domains, [](const auto& each) { return each.error.empty(); });
    if (changes_of(found) == 0 && all_known) std::puts("no differences");
  });
  const Exit errors = report_errors(report);
  if (errors != Exit::ok) return errors;
  return changes_of(report) == 0 ? Exit::ok : Exit::different;
}

Ending apply_policy(Context& context, const std::string& file) {
  VMSEC_TRY(const auto policy, read_policy(file));
  if (const auto found = form_findings(policy)) return report_findings(context, *found);
  VMSEC_TRY(const auto report, ask_host(context, &HostControl::apply_policy, policy));
  if (!report.findings.empty()) return report_findings(context, report);
  print_warnings(report);
  context.print(report, [](const PolicyReport& found) {
    print_changes(found);
    print_grants(found);
    print_withdrawn(found);
    const std::size_t changes = changes_of(found);
    const bool all_done = std::ranges::all_of(found.domains, [](const auto& each) { return each.error.empty(); });
    if (changes == 0 && all_done)
      std::puts("nothing to change");
    else
      std::printf("%zu change%s made\n", changes, changes == 1 ? "" : "s");
  });
  return report_errors(report);
}

}  // namespace

void add_policy(CLI::App& app, Context& context) {
  auto* policy = app.add_subcommand("policy", "The policy: check, diff, apply");
  policy->require_subcommand(1);
  policy->footer(
      "docs/policy.md (installed with the package) has the format: [[vm]], [[grant]], each module's section and "
      "units.\n\n"
      "Examples:\n  vmsec policy check web.toml\n  vmsec policy apply web.toml");
  auto file = std::make_shared<std::string>();
  auto offline = std::make_shared<bool>(false);
  auto strict = std::make_shared<bool>(false);

  auto* check_command = policy->add_subcommand("check", "Find everything that is wrong with a policy; change nothing");
  check_command->add_option("FILE", *file, "The policy, in TOML; without it the host's own");
  check_command->add_flag("--offline", *offline, "The file's form alone; no host is asked");
  check_command->add_flag("--strict", *strict, "Warnings too are a mistake (exit code 2)");
  check_command->footer(
      "Findings are lines \"file:line:column: message\" (exit code 2).\n\n"
      "Examples:\n  vmsec policy check web.toml\n  vmsec policy check --offline web.toml");
  context.on(check_command, [&context, file, offline, strict] {
    return check_policy(context, *file, *offline ? Scope::offline : Scope::host,
                        *strict ? Warnings::refused : Warnings::told);
  });

  auto* diff_command = policy->add_subcommand("diff", "What applying would change (exit code 5: something)");
  diff_command->add_option("FILE", *file, "The policy; without it the host's own");
  diff_command->footer("Examples:\n  vmsec policy diff\n  vmsec policy diff web.toml --json");
  context.on(diff_command, [&context, file] { return diff_policy(context, *file); });

  auto* apply_command = policy->add_subcommand("apply", "Make it so; applying twice changes nothing");
  apply_command->add_option("FILE", *file, "The policy; without it the host's own");
  apply_command->footer(
      "Every VM that can be changed is; the exit code is the gravest of those that could not: 1, 2 or 3.\n\n"
      "Examples:\n  vmsec policy apply\n  vmsec policy apply web.toml");
  context.on(apply_command, [&context, file] { return apply_policy(context, *file); });
}

}  // namespace vmsec::cli
