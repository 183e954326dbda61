// References without a host: learned from logs, explained, compared. Nothing here asks an agent.
#include <fcntl.h>
#include <unistd.h>

#include "commands/commands.hpp"
#include "evidence/diff.hpp"
#include "evidence/explain.hpp"
#include "evidence/learn.hpp"
#include "input.hpp"
#include "output.hpp"

namespace vmsec::cli {
namespace {

// Files of one boot; those without a name are not there.
struct LogFiles {
  std::string event_log;
  std::string module_log;
  std::string ima_list;
};

// The kernel's own files say that they are empty, and are so in many a copy.
Result<std::string> read_more(const std::string& what, const std::string& file, std::size_t limit) {
  if (file.empty()) return std::string();
  VMSEC_TRY(auto bytes, read_input(what, file, limit));
  if (bytes.empty()) return fail(Code::invalid_argument, what + " " + file + ": it is empty");
  return bytes;
}

Result<boot::BootLogs> read_logs(const LogFiles& files) {
  boot::BootLogs logs;
  VMSEC_TRY(logs.event_log, read_input("event log", files.event_log, boot::kMaxLogBytes));
  VMSEC_TRY(logs.module_log, read_more("module log", files.module_log, boot::kMaxLogBytes));
  VMSEC_TRY(logs.ima_list, read_more("IMA list", files.ima_list, boot::kMaxImaBytes));
  return logs;
}

template <class T>
Result<T> of_log(Result<T> result, const std::string& file) {
  if (!result) return fail(std::move(result).error().in("boot of " + file));
  return result;
}

// What is wrong in a file that the caller names is the caller's mistake.
Result<boot::Reference> read_reference_file(const std::string& file) {
  auto reference = boot::read_reference(file);
  if (!reference && reference.error().code == Code::io) reference.error().code = Code::invalid_argument;
  return reference;
}

std::optional<boot::Hash> known_bank(const std::string& name) {
  for (const auto bank : {boot::Hash::sha256, boot::Hash::sha384, boot::Hash::sha512})
    if (name == boot::to_string(bank)) return bank;
  return std::nullopt;
}

// A reference that is in use is never written over.
Status write_new(const std::string& file, const std::string& text) {
  const std::string operation = "write reference " + file;
  const Fd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!out.valid()) return fail(errno_error(operation, errno, Code::invalid_argument));
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(out.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error(operation));
    done += static_cast<std::size_t>(count);
  }
  return {};
}

struct LearnWish {
  std::vector<std::string> logs;
  std::vector<std::string> module_logs;
  std::vector<std::string> ima_lists;
  std::string base;
  std::string bank;
  std::string output;
};

// The n-th of each is of the n-th boot.
Result<std::vector<boot::NamedBoot>> read_boots(const LearnWish& wish) {
  std::vector<boot::NamedBoot> boots;
  for (std::size_t i = 0; i < wish.logs.size(); ++i) {
    const auto& file = wish.logs[i];
    const auto of = [i](const std::vector<std::string>& files) { return files.empty() ? std::string() : files[i]; };
    VMSEC_TRY(auto logs, read_logs({file, of(wish.module_logs), of(wish.ima_lists)}));
    boots.push_back({file.substr(file.rfind('/') + 1), std::move(logs)});
  }
  return boots;
}

bool fits(const std::vector<std::string>& files, const std::vector<std::string>& logs) {
  return files.empty() || files.size() == logs.size();
}

Ending learn_offline(Context& context, const LearnWish& wish) {
  if (wish.logs.empty())
    return usage_error("learn: --base, --bank, --modules, --ima and --output are for logs: name them by --log");
  if (!fits(wish.module_logs, wish.logs) || !fits(wish.ima_lists, wish.logs))
    return usage_error("learn: --modules and --ima: want one for each --log, in the same order, or none");
  std::optional<boot::Reference> base;
  if (!wish.base.empty()) {
    VMSEC_TRY(base, read_reference_file(wish.base));
  }
  auto bank = wish.bank.empty() ? base ? base->bank : boot::Hash::sha256 : known_bank(wish.bank);
  if (!bank) return usage_error("learn: --bank: want sha256, sha384 or sha512");
  VMSEC_TRY(const auto boots, read_boots(wish));
  VMSEC_TRY(const auto learned, boot::learn_boots(boots, base ? &*base : nullptr, *bank));
  if (!wish.output.empty()) VMSEC_CHECK(write_new(wish.output, learned.toml));
  if (context.options.json) {
    const auto& [key, value] = wish.output.empty() ? std::pair("toml", learned.toml) : std::pair("file", wish.output);
    Context::print_json(Json{{key, value}, {"notes", learned.notes}});
    return Exit::ok;
  }
  if (wish.output.empty()) std::fputs(learned.toml.c_str(), stdout);
  for (const auto& note : learned.notes) std::fprintf(stderr, "note: %s\n", safe(note).c_str());
  return Exit::ok;
}

std::string answer_text(boot::Answer answer) {
  const std::string text(boot::to_string(answer));
  if (answer == boot::Answer::allowed) return coloured(Colour::green, text);
  return answer == boot::Answer::refused ? coloured(Colour::red, text) : text;
}

// What there is not is null.
Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }
Json or_null(std::size_t line) { return line == 0 ? Json() : Json(line); }

std::string rule_text(const std::string& rule, std::size_t line) {
  return line == 0 || rule.empty() ? rule : rule + ", line " + std::to_string(line);
}

Json json_of(const boot::Explanation& explanation) {
  Json pcrs = Json::array();
  for (const auto& row : explanation.pcrs)
    pcrs.push_back({{"pcr", row.pcr},
                    {"value", or_null(boot::to_hex(row.value))},
                    {"rules", row.rules},
                    {"line", or_null(row.line)},
                    {"answer", boot::to_string(row.answer)},
                    {"cause", or_null(row.cause)}});
  Json events = Json::array();
  for (const auto& row : explanation.events)
    events.push_back({{"event", row.event.number},
                      {"pcr", row.event.pcr},
                      {"type", boot::event_type_name(row.event.type)},
                      {"digest", or_null(boot::to_hex(row.event.digest))},
                      {"part", boot::to_string(row.event.description.part)},
                      {"text", row.event.description.text},
                      {"rule", or_null(row.rule)},
                      {"line", or_null(row.line)},
                      {"answer", row.event.extends ? boot::to_string(row.answer) : "informs only"}});
  return {{"accepted", explanation.cause.empty()},
          {"cause", or_null(explanation.cause)},
          {"not_judged", explanation.not_judged},
          {"pcrs", pcrs},
          {"events", events}};
}

void print_explanation(const boot::Explanation& explanation) {
  Table pcrs({"PCR", "VALUE", "RULE", "VERDICT"});
  for (const auto& row : explanation.pcrs)
    pcrs.add({std::to_string(row.pcr), boot::to_hex(row.value), rule_text(joined(row.rules, ""), row.line),
              answer_text(row.answer)});
  pcrs.print();
  std::puts("");
  Table events({"PCR", "EVENT", "DIGEST", "RULE", "VERDICT", "WHAT IT SAYS IT IS"});
  for (const auto& row : explanation.events) {
    const auto& event = row.event;
    const auto& said = event.description;
    events.add({std::to_string(event.pcr), std::to_string(event.number), boot::to_hex(event.digest),
                rule_text(row.rule, row.line), event.extends ? answer_text(row.answer) : "informs only",
                std::string(boot::to_string(said.part)) + ": " + said.text});
  }
  events.print();
  std::puts("");
  print_facts({{"verdict",
                explanation.cause.empty() ? coloured(Colour::green, "accepted") : coloured(Colour::red, "refused")}});
  if (!explanation.cause.empty()) print_facts({{"cause", explanation.cause}});
  for (const auto pcr : explanation.not_judged)
    print_facts({{"not judged", "PCR " + std::to_string(pcr) + ": name the host's IMA list by --ima"}});
}

Ending explain_boot(Context& context, const std::string& file, const LogFiles& files) {
  VMSEC_TRY(const auto reference, read_reference_file(file));
  VMSEC_TRY(const auto logs, read_logs(files));
  VMSEC_TRY(const auto explanation, of_log(boot::explain_boot(reference, logs), files.event_log));
  if (context.options.json)
    Context::print_json(json_of(explanation));
  else
    print_explanation(explanation);
  return explanation.cause.empty() ? Exit::ok : Exit::refused;
}

struct DiffWish {
  std::string before;
  std::string after;
  LogFiles logs;  // to compare with a reference
  std::string bank = "sha256";
};

Result<std::vector<boot::Difference>> differences(const DiffWish& wish, boot::Hash bank) {
  if (wish.after.empty()) {
    VMSEC_TRY(const auto reference, read_reference_file(wish.before));
    VMSEC_TRY(const auto logs, read_logs(wish.logs));
    return of_log(boot::diff_reference(reference, logs), wish.logs.event_log);
  }
  VMSEC_TRY(const auto before, read_logs({wish.before, {}, {}}));
  VMSEC_TRY(const auto after, read_logs({wish.after, {}, {}}));
  return of_log(boot::diff_boots(before, after, bank), wish.before + " or " + wish.after);
}

Json json_of(const std::vector<boot::Difference>& all) {
  Json list = Json::array();
  for (const auto& each : all)
    list.push_back({{"change", boot::to_string(each.change)},
                    {"pcr", each.pcr},
                    {"event", each.event ? Json(*each.event) : Json()},
                    {"part", each.part},
                    {"before", or_null(each.before)},
                    {"after", or_null(each.after)},
                    {"text", each.text}});
  return list_json("differences", std::move(list));
}

void print_differences(const std::vector<boot::Difference>& all) {
  if (all.empty()) return static_cast<void>(std::puts("nothing changes"));
  Table table({"PCR", "CHANGE", "PART", "EVENT", "BEFORE", "AFTER", "WHAT IT SAYS IT IS"});
  for (const auto& each : all)
    table.add({std::to_string(each.pcr), std::string(boot::to_string(each.change)), each.part,
               each.event ? std::to_string(*each.event) : "", each.before, each.after, each.text});
  table.print();
}

Ending diff_boots(Context& context, const DiffWish& wish) {
  if (wish.after.empty() == wish.logs.event_log.empty())
    return usage_error("diff: want REFERENCE --log FILE, or two logs");
  if (!wish.after.empty() && !(wish.logs.module_log.empty() && wish.logs.ima_list.empty()))
    return usage_error("diff: --modules and --ima go with REFERENCE --log FILE");
  const auto bank = known_bank(wish.bank);
  if (!bank) return usage_error("diff: --bank: want sha256, sha384 or sha512");
  VMSEC_TRY(const auto all, differences(wish, *bank));
  if (context.options.json)
    Context::print_json(json_of(all));
  else
    print_differences(all);
  return all.empty() ? Exit::ok : Exit::different;
}

void add_more_logs(CLI::App& command, LogFiles& files) {
  command.add_option("--modules", files.module_log, "The log of vmsec's modules of the same boot");
  command.add_option("--ima", files.ima_list, "The IMA list of the same boot");
}

}  // namespace

std::function<std::optional<Ending>(const std::string&)> add_attest_reference(CLI::App& attest, CLI::App& learn,
                                                                              Context& context) {
  auto wish = std::make_shared<LearnWish>();
  learn.add_option("--log", wish->logs,
                   "From the event log of a good boot instead of a host; several: what differs may");
  learn.add_option("--modules", wish->module_logs, "With logs: the log of vmsec's modules of the same boot, for each");
  learn.add_option("--ima", wish->ima_lists, "With logs: the IMA list of the same boot, for each");
  learn.add_option("--base", wish->base, "With logs: a reference, to which they add");
  learn.add_option("--bank", wish->bank, "With logs: sha256, sha384 or sha512");
  learn.add_option("-o,--output", wish->output, "With logs: a file that is not there yet");

  auto reference = std::make_shared<std::string>();
  auto files = std::make_shared<LogFiles>();
  auto* explain_command = attest.add_subcommand("explain", "Which rule of a reference decides each PCR and event");
  explain_command->add_option("REFERENCE", *reference, "The reference file")->required();
  explain_command->add_option("--log", files->event_log, "An event log")->required();
  add_more_logs(*explain_command, *files);
  explain_command->footer(
      "Exit codes: 0 the boot is accepted, 3 it is refused.\n\n"
      "Examples:\n  vmsec attest explain reference.toml --log boot.bin\n"
      "  vmsec attest explain reference.toml --log boot.bin --modules modules.log --ima ima.list");
  context.on(explain_command, [&context, reference, files] { return explain_boot(context, *reference, *files); });

  auto compared = std::make_shared<DiffWish>();
  auto* diff_command = attest.add_subcommand("diff", "What an update changes, before it is accepted");
  diff_command->add_option("BEFORE", compared->before, "A reference, or the event log of before")->required();
  diff_command->add_option("AFTER", compared->after, "The event log of after");
  diff_command->add_option("--log", compared->logs.event_log, "An event log to compare with the reference BEFORE");
  add_more_logs(*diff_command, compared->logs);
  diff_command->add_option("--bank", compared->bank, "Of two logs: sha256, sha384 or sha512");
  diff_command->footer(
      "Exit codes: 0 nothing changes, 5 something does.\n\n"
      "Examples:\n  vmsec attest diff reference.toml --log updated.bin\n  vmsec attest diff before.bin after.bin\n"
      "  vmsec attest diff reference.toml --log updated.bin --modules modules.log --ima ima.list");
  context.on(diff_command, [&context, compared] { return diff_boots(context, *compared); });

  return [&context, wish](const std::string& host) -> std::optional<Ending> {
    if (wish->logs.empty() && wish->module_logs.empty() && wish->ima_lists.empty() && wish->base.empty() &&
        wish->bank.empty() && wish->output.empty())
      return std::nullopt;
    if (!host.empty()) return usage_error("learn: from a host or from logs, not from both");
    return learn_offline(context, *wish);
  };
}

}  // namespace vmsec::cli
