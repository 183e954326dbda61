// vmsec audit: show what was done, verify that nobody changed the log. Offline but for the log's place.
#include <charconv>
#include <filesystem>
#include <map>

#include "audit_text.hpp"
#include "commands/commands.hpp"
#include "output.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/service/host_control.hpp"

namespace vmsec::cli {
namespace {

namespace fs = std::filesystem;

struct LogQuery {
  std::string log;  // a file, or a folder that holds audit.log
  std::string domain;
  std::string outcome;
  std::string since;
  bool all_kinds = false;
  AuditFilter filter;
};

fs::path log_in(const fs::path& place) {
  std::error_code ignored;
  return fs::is_directory(place, ignored) ? place / "audit.log" : place;
}

Result<fs::path> log_of(Context& context, const std::string& place) {
  if (!place.empty()) return log_in(place);
  const Options& options = context.options;
  if (!options.state.empty() || !options.plugin.empty()) return log_in(options.state_folder());
  VMSEC_TRY(const auto host, context.open<HostControl>());
  VMSEC_TRY(const auto info, host->info({}));
  return log_in(info.state_dir);
}

Result<AuditFilter> filter_of(Context& context, const LogQuery& wanted) {
  AuditFilter filter = wanted.filter;
  if (wanted.all_kinds) filter.kind.reset();
  if (!wanted.outcome.empty()) {
    VMSEC_TRY(filter.outcome, parse_outcome(wanted.outcome));
  }
  if (!wanted.since.empty()) {
    VMSEC_TRY(filter.since, parse_since(wanted.since, system_now()));
  }
  if (wanted.domain.empty()) return filter;
  if (auto uuid = Uuid::parse(wanted.domain)) {
    filter.domain = *uuid;
    return filter;
  }
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto domain, find_domain(*domains, wanted.domain));
  filter.domain = domain.domain;
  return filter;
}

// The VMs that the host has now, where one is asked; the others keep their UUID.
std::map<Uuid, std::string> names_of(Context& context) {
  std::map<Uuid, std::string> names;
  if (!context.asked()) return names;
  const auto domains = context.open<DomainControl>();
  if (!domains) return names;
  const auto list = (*domains)->list({});
  if (list)
    for (const auto& domain : list->domains) names[domain.domain] = domain.name;
  return names;
}

// A cause may begin with its line already.
std::string located(const AuditReport& report) {
  const std::string line = "line " + std::to_string(report.bad_line) + ": ";
  const bool has_place = report.cause.starts_with(line) || report.cause.find(": " + line) != std::string::npos;
  return has_place ? report.cause : line + report.cause;
}

Ending show(Context& context, const LogQuery& wanted) {
  VMSEC_TRY(const AuditFilter filter, filter_of(context, wanted));
  VMSEC_TRY(const fs::path log, log_of(context, wanted.log));
  auto records = read_audit(log, filter);
  if (!records && records.error().code == Code::tampered)
    return fail_with(records.error(), "\"vmsec audit verify\" says how far the log is good");
  if (!records) return fail_with(records.error(), {});
  if (context.options.json) {
    Json list = Json::array();
    for (const auto& record : *records) list.push_back(record_json(record));
    Context::print_json(list_json("records", std::move(list)));
    return Exit::ok;
  }
  print_records(*records, names_of(context));
  return Exit::ok;
}

struct Check {
  std::string log;
  std::vector<std::string> keys;
  std::string anchor;
  bool copied = false;
};

// The likeliest cause of a foreign signature is the wrong certificate.
std::string advice_on(const AuditReport& report) {
  if (report.cause.find("another key") == std::string::npos) return "keep the file as it is: it is evidence";
  return "was that host's own certificate given by --key, and its former ones too? Else keep the file: it is evidence";
}

Ending verify(const Context& context, const Check& check) {
  std::vector<PublicKey> keys;
  for (const auto& file : check.keys) {
    VMSEC_TRY(auto key, PublicKey::load(file));
    keys.push_back(std::move(key));
  }
  std::optional<AuditAnchor> anchor;
  if (!check.anchor.empty()) {
    VMSEC_TRY(anchor, parse_anchor(check.anchor));
  }
  const fs::path log = log_in(check.log);
  VMSEC_TRY(const auto report,
            verify_audit(log, keys, anchor, check.copied ? AuditHead::may_be_absent : AuditHead::wanted));
  if (context.options.json) {
    Context::print_json(report_json(report));
  } else {
    print_facts({{"log", log.string()},
                 {"verdict", report.good() ? coloured(Colour::green, "good") : coloured(Colour::red, "BAD")},
                 {"files", std::to_string(report.files)},
                 {"records", std::to_string(report.records)},
                 {"first record", std::to_string(report.first)},
                 {"checkpoints", std::to_string(report.checkpoints)},
                 {"not signed yet", std::to_string(report.unsigned_records)},
                 {"torn lines", std::to_string(report.torn)},
                 {"audit.head", report.head_checked ? "fits" : "not checked"},
                 {"anchor", report.checkpoints == 0 ? "-" : anchor_text(report.anchor)}});
  }
  if (report.good()) return Exit::ok;
  return fail_with(Error{Code::tampered, "verify " + log.string() + ": " + located(report), 0, {}}, advice_on(report));
}

}  // namespace

void add_audit(CLI::App& app, Context& context) {
  auto* audit = app.add_subcommand("audit", "The audit log: show, verify");
  audit->require_subcommand(1);
  audit->footer("Examples:\n  vmsec audit show --outcome refused");

  auto wanted = std::make_shared<LogQuery>();
  auto* show_command = audit->add_subcommand("show", "What was done, and what was refused");
  show_command->add_option("LOG", wanted->log,
                           "audit.log or its folder (--state DIR does too); without it, the agent's");
  show_command->add_option("--vm,--domain", wanted->domain, "About this VM: name or UUID")->type_name("VM");
  show_command->add_option("--module", wanted->filter.module, "By this module, or core")->type_name("NAME");
  show_command->add_option("--action", wanted->filter.action, "This action, or those below it: migration")
      ->type_name("NAME");
  show_command->add_option("--outcome", wanted->outcome, "succeeded, refused, failed or in-doubt")->type_name("NAME");
  show_command->add_option("--since", wanted->since, "A time (2026-08-25T12:00:00Z), or how long ago (24h)")
      ->type_name("TIME");
  show_command->add_option("--limit", wanted->filter.limit, "The newest so many; 0: all")->type_name("N");
  show_command->add_flag("--all-kinds", wanted->all_kinds, "Checkpoints and torn lines too");
  show_command->footer(
      "Examples:\n  vmsec audit show --vm web-1 --since 24h\n"
      "  vmsec audit show --state /var/lib/vmsec --action migration --outcome refused --json");
  context.on(show_command, [&context, wanted] { return show(context, *wanted); });

  auto check = std::make_shared<Check>();
  auto* verify_command =
      audit->add_subcommand("verify", "Prove offline that no record was changed (exit code 3: one was)");
  verify_command->add_option("LOG", check->log, "audit.log or its folder")->required();
  verify_command->add_option("--key", check->keys, "The host's certificate or public key; older ones too")
      ->required()
      ->type_name("FILE")
      ->take_all();
  verify_command->add_option("--anchor", check->anchor, "What an earlier verify printed, kept elsewhere")
      ->type_name("NUMBER:HASH");
  verify_command->add_flag("--copied", check->copied, "The log was copied without its audit.head: do not miss it");
  verify_command->footer(
      "Follows the chain over rotated files (audit.log.NUMBER): copy them all.\n"
      "Keep the printed anchor on another machine, and give it to the next verify: then a log that was\n"
      "cut back is found too.\n\n"
      "Examples:\n  vmsec audit verify /var/lib/vmsec/audit.log --key host-a.crt");
  context.on(verify_command, [&context, check] { return verify(context, *check); });
}

}  // namespace vmsec::cli
