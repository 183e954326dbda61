// vmsec attest log: an event log or an IMA list as a table, and where it leads.
#include <algorithm>
#include <map>

#include "commands/commands.hpp"
#include "evidence/describe.hpp"
#include "evidence/ima.hpp"
#include "evidence/replay.hpp"
#include "input.hpp"
#include "output.hpp"

namespace vmsec::cli {
namespace {

struct LogRequest {
  std::string file;
  std::string bank;  // empty: SHA-256, else the log's first
  std::vector<std::uint32_t> pcrs;
  bool ima = false;
};

constexpr std::array kBankNames{boot::Hash::sha1,    boot::Hash::sha256,   boot::Hash::sha384,   boot::Hash::sha512,
                                boot::Hash::sm3_256, boot::Hash::sha3_256, boot::Hash::sha3_384, boot::Hash::sha3_512};

Result<boot::Hash> bank_of(const std::string& name) {
  for (const auto hash : kBankNames)
    if (to_string(hash) == name) return hash;
  return fail(Code::invalid_argument, "--bank " + name + ": want sha1, sha256, sha384, sha512 or sm3_256");
}

bool wanted(const LogRequest& request, std::uint32_t pcr) {
  return request.pcrs.empty() || std::ranges::find(request.pcrs, pcr) != request.pcrs.end();
}

// An event, and what is to be said of it; the views are into the log.
struct ToldEvent {
  boot::Event event;
  boot::Description description;
};

struct ToldLog {
  std::vector<boot::Bank> banks;
  std::vector<ToldEvent> events;
  std::vector<std::string> remarks;   // on the whole
  std::vector<boot::Replay> replays;  // of each bank that can be computed here
  std::array<bool, boot::kPcrCount> measured{};
};

Result<ToldLog> read_log(std::string_view bytes) {
  ToldLog log;
  VMSEC_TRY(auto reader, boot::EventLogReader::open(bytes));
  log.banks = reader.banks();
  boot::Describer describer(log.banks);
  while (true) {
    VMSEC_TRY(auto event, reader.next());
    if (!event) break;
    if (event->extends()) log.measured[event->pcr] = true;
    auto description = describer.describe(*event);
    log.events.push_back({std::move(*event), std::move(description)});
  }
  log.remarks = describer.finish();
  for (const auto& bank : log.banks) {
    if (!boot::digest_size(bank.hash)) {
      log.remarks.push_back("the log has " + to_string(bank.hash) + " digests, which cannot be replayed here");
      continue;
    }
    VMSEC_TRY(auto replay, boot::replay(bytes, bank.hash));
    log.replays.push_back(std::move(replay));
  }
  return log;
}

// SHA-256 where the log has it: what quotes and references are of, unless told otherwise.
Result<boot::Hash> shown_bank(const LogRequest& request, const ToldLog& log) {
  const auto has = [&](boot::Hash hash) {
    return std::ranges::find(log.banks, hash, &boot::Bank::hash) != log.banks.end();
  };
  if (!request.bank.empty()) {
    VMSEC_TRY(const auto bank, bank_of(request.bank));
    if (has(bank)) return bank;
    return fail(Code::invalid_argument, "--bank " + request.bank + ": the event log has no such digests");
  }
  return has(boot::Hash::sha256) ? boot::Hash::sha256 : log.banks.front().hash;
}

std::string pcr_text(const boot::Event& event) { return event.pcr < boot::kPcrCount ? std::to_string(event.pcr) : "-"; }

// Event by event, in the log's order, and then on the whole.
void print_remarks(const LogRequest& request, const ToldLog& log) {
  std::vector<std::string> lines;
  for (const auto& told : log.events) {
    if (!wanted(request, told.event.pcr)) continue;
    for (const auto& remark : told.description.remarks)
      lines.push_back("event " + std::to_string(told.event.number) + ": " + remark);
  }
  lines.insert(lines.end(), log.remarks.begin(), log.remarks.end());
  if (lines.empty()) return;
  std::puts("");
  for (const auto& line : lines)
    std::printf("%s %s\n", coloured(Colour::yellow, "remark:").c_str(), safe(line).c_str());
}

void print_values(const LogRequest& request, const ToldLog& log) {
  Table table({"PCR", "BANK", "VALUE"});
  for (std::uint32_t pcr = 0; pcr < boot::kPcrCount; ++pcr) {
    if (!log.measured[pcr] || !wanted(request, pcr)) continue;
    for (const auto& replay : log.replays)
      table.add({std::to_string(pcr), to_string(replay.bank), boot::to_hex(replay.values[pcr])});
  }
  std::puts("");
  table.print();
}

void print_log(const LogRequest& request, const ToldLog& log, boot::Hash bank) {
  Table table({"EVENT", "PCR", "TYPE", "PART", "DIGEST (" + to_string(bank) + ")", "WHAT IT IS"});
  for (const auto& [event, description] : log.events) {
    if (!wanted(request, event.pcr)) continue;
    const auto digest = event.extends() ? event.digest(bank) : std::nullopt;
    table.add({std::to_string(event.number), pcr_text(event), boot::event_type_name(event.type),
               std::string(to_string(description.part)), digest ? boot::to_hex(*digest) : "-", description.text});
  }
  table.print();
  print_remarks(request, log);
  print_values(request, log);
}

Json event_json(const ToldEvent& told) {
  const auto& [event, description] = told;
  Json digests = Json::object();
  for (const auto& digest : event.digests) digests[to_string(digest.hash)] = boot::to_hex(digest.bytes);
  return Json{{"event", event.number},
              {"offset", event.offset},
              {"pcr", event.pcr < boot::kPcrCount ? Json(event.pcr) : Json()},
              {"type", boot::event_type_name(event.type)},
              {"type_number", event.type},
              {"extends", event.extends()},
              {"part", to_string(description.part)},
              {"text", description.text},
              {"digests", digests},
              {"data", boot::to_hex(event.data)},
              {"remarks", description.remarks}};
}

Json log_json(const LogRequest& request, const ToldLog& log) {
  Json events = Json::array();
  for (const auto& told : log.events)
    if (wanted(request, told.event.pcr)) events.push_back(event_json(told));
  Json pcrs = Json::array();
  for (std::uint32_t pcr = 0; pcr < boot::kPcrCount; ++pcr) {
    if (!log.measured[pcr] || !wanted(request, pcr)) continue;
    for (const auto& replay : log.replays)
      pcrs.push_back(
          {{"pcr", pcr}, {"algorithm", to_string(replay.bank)}, {"value", boot::to_hex(replay.values[pcr])}});
  }
  return Json{{"events", events}, {"remarks", log.remarks}, {"pcrs", pcrs}};
}

Ending show_event_log(Context& context, const LogRequest& request) {
  VMSEC_TRY(const std::string bytes, read_input("event log", request.file, boot::kMaxLogBytes));
  auto read = read_log(bytes);
  if (!read) return fail(read.error().in("event log " + request.file));
  const ToldLog& log = *read;
  VMSEC_TRY(const auto bank, shown_bank(request, log));
  if (context.options.json)
    Context::print_json(log_json(request, log));
  else
    print_log(request, log, bank);
  return Exit::ok;
}

// The list by each bank: the same entries, another PCR.
using ImaByBank = std::vector<std::pair<boot::Hash, boot::ImaList>>;

Result<ImaByBank> read_ima_banks(std::string_view bytes, const LogRequest& request) {
  std::vector<boot::Hash> banks{boot::Hash::sha1, boot::Hash::sha256};
  if (!request.bank.empty()) {
    VMSEC_TRY(const auto bank, bank_of(request.bank));
    banks = {bank};
  }
  ImaByBank lists;
  for (const auto bank : banks) {
    VMSEC_TRY(auto list, boot::read_ima(bytes, bank));
    lists.emplace_back(bank, std::move(list));
  }
  return lists;
}

std::string kind_of(const boot::ImaEntry& entry) {
  if (entry.violation) return "violation";
  return entry.signature.empty() ? "" : "signed";
}

void print_ima(const LogRequest& request, const ImaByBank& lists) {
  Table table({"ENTRY", "PCR", "TEMPLATE", "DIGEST", "", "PATH"});
  for (const auto& entry : lists.front().second.entries) {
    if (!wanted(request, entry.pcr)) continue;
    table.add({std::to_string(entry.number), std::to_string(entry.pcr), std::string(entry.template_name),
               entry.violation ? "-" : to_string(entry.hash) + ":" + boot::to_hex(entry.digest), kind_of(entry),
               boot::printable(entry.path)});
  }
  table.print();
  if (!wanted(request, boot::kImaPcr)) return;
  Table values({"PCR", "BANK", "VALUE", ""});
  for (const auto& [bank, list] : lists) {
    const std::string name = to_string(bank);
    values.add({std::to_string(boot::kImaPcr), name, boot::to_hex(list.pcr), ""});
    if (list.pcr_padded != list.pcr)
      values.add({std::to_string(boot::kImaPcr), name, boot::to_hex(list.pcr_padded), "by a kernel before 5.8"});
  }
  std::puts("");
  values.print();
}

Json ima_json(const LogRequest& request, const ImaByBank& lists) {
  Json entries = Json::array();
  for (const auto& entry : lists.front().second.entries) {
    if (!wanted(request, entry.pcr)) continue;
    entries.push_back({{"entry", entry.number},
                       {"offset", entry.offset},
                       {"pcr", entry.pcr},
                       {"template", entry.template_name},
                       {"violation", entry.violation},
                       {"algorithm", to_string(entry.hash)},
                       {"digest", boot::to_hex(entry.digest)},
                       {"path", boot::printable(entry.path, entry.path.size())},
                       {"signature", boot::to_hex(entry.signature)}});
  }
  Json pcrs = Json::array();
  if (wanted(request, boot::kImaPcr))
    for (const auto& [bank, list] : lists)
      pcrs.push_back({{"pcr", boot::kImaPcr},
                      {"algorithm", to_string(bank)},
                      {"value", boot::to_hex(list.pcr)},
                      {"value_before_5_8", boot::to_hex(list.pcr_padded)}});
  return Json{{"entries", entries}, {"pcrs", pcrs}};
}

Ending show_ima_list(Context& context, const LogRequest& request) {
  VMSEC_TRY(const std::string bytes, read_input("IMA list", request.file, boot::kMaxImaBytes));
  VMSEC_TRY(const ImaByBank lists, read_ima_banks(bytes, request));
  if (context.options.json)
    Context::print_json(ima_json(request, lists));
  else
    print_ima(request, lists);
  return Exit::ok;
}

Ending show_log(Context& context, const LogRequest& request) {
  return request.ima ? show_ima_list(context, request) : show_event_log(context, request);
}

}  // namespace

void add_attest_log(CLI::App& attest, Context& context) {
  auto request = std::make_shared<LogRequest>();
  auto* command = attest.add_subcommand("log", "An event log event by event, and the PCRs that it leads to");
  command->add_option("FILE", request->file, "As the kernel or tpm2-tools gives it")->required();
  command->add_flag("--ima", request->ima, "FILE is an IMA list (binary_runtime_measurements)");
  command->add_option("--bank", request->bank, "Show these digests: sha1, sha256, sha384, ... (sha256)");
  command->add_option("--pcr", request->pcrs, "Of these PCRs only, 0 to 23")
      ->check(CLI::Range(0U, boot::kPcrCount - 1))
      ->delimiter(',')
      ->take_all()
      ->allow_extra_args(false);
  command->footer(
      "What an event says of itself is its host's word; only digests are what the TPM vouches for. A remark tells of\n"
      "what is unknown, malformed or misplaced, and of a digest that is not that of the data shown.\n\n"
      "Examples:\n  vmsec attest log /sys/kernel/security/tpm0/binary_bios_measurements\n"
      "  vmsec attest log boot.bin --pcr 4,7 --bank sha384\n"
      "  vmsec attest log --ima /sys/kernel/security/ima/binary_runtime_measurements --json");
  context.on(command, [&context, request] { return show_log(context, *request); });
}

}  // namespace vmsec::cli
