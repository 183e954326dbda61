#include "audit_text.hpp"

#include <charconv>
#include <cstdio>
#include <ctime>

#include "output.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

using vmsec::Outcome;

constexpr std::size_t kHashSize = 32;

std::string_view kind_text(AuditKind kind) {
  switch (kind) {
    case AuditKind::act:
      return "act";
    case AuditKind::checkpoint:
      return "checkpoint";
    case AuditKind::torn:
      return "torn";
    case AuditKind::begin:
      return "begin";
  }
  return "unknown";
}

std::string outcome_text(Outcome outcome) {
  const std::string text(to_string(outcome));
  if (outcome == Outcome::unknown) return "begins";  // its end is a record of its own
  if (outcome == Outcome::succeeded) return text;
  return coloured(outcome == Outcome::in_doubt ? Colour::yellow : Colour::red, text);
}

std::string detail_of(const AuditRecord& record) {
  if (record.kind == AuditKind::torn) return std::to_string(record.torn_bytes) + " bytes of a line that was cut short";
  if (record.kind == AuditKind::checkpoint) return "signed by " + hexadecimal(record.key).substr(0, 16);
  if (record.kind == AuditKind::begin)
    return "older files are removed: the log begins with record " + std::to_string(record.first);
  return record.entry.detail;
}

std::optional<std::uint64_t> time_of(const std::string& text) {
  for (const char* form : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"}) {
    std::tm parts{};
    const char* end = ::strptime(text.c_str(), form, &parts);
    if (end == nullptr || *end != '\0') continue;
    const std::time_t seconds = ::timegm(&parts);
    if (seconds >= 0) return static_cast<std::uint64_t>(seconds);
  }
  return std::nullopt;
}

}  // namespace

Result<Outcome> parse_outcome(const std::string& word) {
  const std::string wanted = word == "in-doubt" ? "in doubt" : word;
  for (const auto outcome : {Outcome::succeeded, Outcome::refused, Outcome::failed, Outcome::in_doubt})
    if (to_string(outcome) == wanted) return outcome;
  return fail(Code::invalid_argument,
              "--outcome: " + units::quoted(word) + " is none: want succeeded, refused, failed or in-doubt");
}

Result<Microseconds> parse_since(const std::string& text, UnixSeconds now) {
  if (const auto seconds = time_of(text)) return Microseconds{*seconds * 1'000'000};
  const auto ago = parse_duration(text);
  if (!ago)
    return fail(Code::invalid_argument, "--since: " + units::quoted(text) +
                                            " is no time: want 2026-08-25T12:00:00Z, 2026-08-25, or how long ago: 24h");
  const std::uint64_t present = now.value * 1'000'000;
  return Microseconds{present > ago->value ? present - ago->value : 0};
}

Result<AuditAnchor> parse_anchor(const std::string& text) {
  const auto bad = fail(Code::invalid_argument, "--anchor: want NUMBER:HASH as \"audit verify\" printed it");
  const auto colon = text.find(':');
  if (colon == std::string::npos || text.size() != colon + 1 + 2 * kHashSize) return bad;
  AuditAnchor anchor;
  const auto number = std::from_chars(text.data(), text.data() + colon, anchor.sequence);
  if (number.ec != std::errc() || number.ptr != text.data() + colon) return bad;
  for (std::size_t i = colon + 1; i < text.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 2, byte, 16);
    if (error != std::errc() || end != text.data() + i + 2) return bad;
    anchor.hash += static_cast<char>(byte);
  }
  return anchor;
}

std::string anchor_text(const AuditAnchor& anchor) {
  return std::to_string(anchor.sequence) + ":" + hexadecimal(anchor.hash);
}

Json record_json(const AuditRecord& record) {
  Json json = {{"sequence", record.sequence},
               {"time", audit_time(record.time)},
               {"kind", kind_text(record.kind)},
               {"host", record.host},
               {"module", record.module},
               {"action", record.entry.action},
               {"outcome", to_string(record.entry.outcome)},
               {"domain", record.entry.domain.is_nil() ? Json() : Json(record.entry.domain.text())},
               {"peer", record.entry.peer},
               {"detail", is_text(record.entry.detail) ? record.entry.detail : hexadecimal(record.entry.detail)},
               {"hash", hexadecimal(record.hash)}};
  if (record.kind == AuditKind::checkpoint) json["key"] = hexadecimal(record.key);
  if (record.kind == AuditKind::torn) json["torn_bytes"] = record.torn_bytes;
  if (record.kind == AuditKind::begin) json["first"] = record.first;
  return json;
}

Json report_json(const AuditReport& report) {
  return {{"good", report.good()},
          {"files", report.files},
          {"first_record", report.first},
          {"records", report.records},
          {"checkpoints", report.checkpoints},
          {"torn", report.torn},
          {"unsigned_records", report.unsigned_records},
          {"head_checked", report.head_checked},
          {"anchor", report.checkpoints == 0 ? Json() : Json(anchor_text(report.anchor))},
          {"bad_file", report.good() ? Json() : Json(report.bad_file)},
          {"bad_line", report.bad_line},
          {"cause", report.cause}};
}

void print_records(const std::vector<AuditRecord>& records, const std::map<Uuid, std::string>& names) {
  const auto vm_of = [&](const AuditRecord& record) -> std::string {
    if (record.entry.domain.is_nil()) return "-";
    const auto known = names.find(record.entry.domain);
    return known == names.end() ? record.entry.domain.text() : known->second;
  };
  Table table({"NUMBER", "TIME", "MODULE", "ACTION", "OUTCOME", "VM", "PEER", "DETAIL"});
  for (const auto& record : records) {
    const bool act = record.kind == AuditKind::act;
    table.add({std::to_string(record.sequence), audit_time(record.time), act ? record.module : "-",
               act ? record.entry.action : std::string(kind_text(record.kind)),
               act ? outcome_text(record.entry.outcome) : "-", vm_of(record),
               record.entry.peer.empty() ? "-" : record.entry.peer, detail_of(record)});
  }
  table.print();
}

}  // namespace vmsec::cli
