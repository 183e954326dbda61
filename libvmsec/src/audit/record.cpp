// One record as one line of JSON, in exactly one way.
#include <array>
#include <charconv>
#include <ctime>

#include "audit/line.hpp"
#include "identity/openssl.hpp"

namespace vmsec {
namespace {

using identity::from_hex;
using identity::hex;

constexpr std::string_view kLabel = "vmsec audit record v1";
constexpr std::array kOutcomes = {Outcome::unknown, Outcome::succeeded, Outcome::refused, Outcome::failed,
                                  Outcome::in_doubt};

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
  return "act";
}

void put_text(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7f)
      (out += "\\u00") += hex({&c, 1});
    else
      out += c;
  }
  out += '"';
}

void put(std::string& out, std::string_view name, std::string_view value) {
  ((out += ",\"") += name) += "\":";
  put_text(out, value);
}

// Reads what audit_line() writes, and remembers where it differs.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}

  bool literal(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    at_ += wanted.size();
    return true;
  }
  bool number(std::string_view before, std::uint64_t& value) {
    if (!literal(before)) return false;
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
    at_ += static_cast<std::size_t>(end - begin);
    return error == std::errc() && end != begin;
  }
  bool text(std::string_view name, std::string& value) {
    if (!literal(",\"") || !literal(name) || !literal("\":\"")) return false;
    value.clear();
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' ? !escape(value) : !plain(value)) return false;
    }
    return literal("\"");
  }
  bool digest(std::string_view name, std::string& value, std::size_t size) {
    std::string digits;
    if (!text(name, digits)) return false;
    value = from_hex(digits);
    return value.size() == size;
  }
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] std::size_t place() const { return at_; }

 private:
  bool plain(std::string& value) {
    if (static_cast<unsigned char>(text_[at_]) < 0x20) return false;
    value += text_[at_++];
    return true;
  }
  bool escape(std::string& value) {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with("\\\"") || rest.starts_with("\\\\")) {
      value += rest[1];
      at_ += 2;
      return true;
    }
    if (!rest.starts_with("\\u00") || rest.size() < 6) return false;
    const std::string byte = from_hex(rest.substr(4, 2));
    if (byte.empty()) return false;
    value += byte;
    at_ += 6;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool parse_time(std::string_view text, Microseconds& time) {
  std::tm parts{};
  if (text.size() != 27) return false;
  const auto number = [&](std::size_t at, std::size_t count, auto& value) {
    return std::from_chars(text.data() + at, text.data() + at + count, value).ptr == text.data() + at + count;
  };
  std::uint64_t micro = 0;
  if (!number(0, 4, parts.tm_year) || !number(5, 2, parts.tm_mon) || !number(8, 2, parts.tm_mday) ||
      !number(11, 2, parts.tm_hour) || !number(14, 2, parts.tm_min) || !number(17, 2, parts.tm_sec) ||
      !number(20, 6, micro))
    return false;
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const std::time_t seconds = timegm(&parts);
  if (seconds < 0) return false;
  time.value = static_cast<std::uint64_t>(seconds) * 1'000'000 + micro;
  return true;  // whether it was written so is seen when it is written again
}

bool parse_kind(std::string_view text, AuditKind& kind) {
  for (const AuditKind each : {AuditKind::act, AuditKind::checkpoint, AuditKind::torn, AuditKind::begin}) {
    if (kind_text(each) != text) continue;
    kind = each;
    return true;
  }
  return false;
}

bool parse_entry(Cursor& cursor, AuditRecord& record) {
  std::string outcome;
  std::string domain;
  AuditEntry& entry = record.entry;
  if (!cursor.text("module", record.module) || !cursor.text("action", entry.action) ||
      !cursor.text("outcome", outcome) || !cursor.text("domain", domain) || !cursor.text("peer", entry.peer) ||
      !cursor.text("detail", entry.detail))
    return false;
  if (!domain.empty()) {
    const auto uuid = Uuid::parse(domain);
    if (!uuid) return false;
    entry.domain = *uuid;
  }
  for (const Outcome each : kOutcomes) {
    if (to_string(each) != outcome) continue;
    entry.outcome = each;
    return true;
  }
  return false;
}

bool parse_fields(Cursor& cursor, AuditRecord& record) {
  std::string time;
  std::string kind;
  if (!cursor.number("{\"seq\":", record.sequence) || !cursor.text("time", time) || !parse_time(time, record.time) ||
      !cursor.text("kind", kind) || !parse_kind(kind, record.kind) || !cursor.text("host", record.host))
    return false;
  if (record.kind == AuditKind::act && !parse_entry(cursor, record)) return false;
  if (record.kind == AuditKind::checkpoint && !cursor.digest("key", record.key, 32)) return false;
  if (record.kind == AuditKind::torn &&
      (!cursor.number(",\"bytes\":", record.torn_bytes) || !cursor.digest("digest", record.torn_digest, 32)))
    return false;
  if (record.kind == AuditKind::begin &&
      (!cursor.number(",\"first\":", record.first) || !cursor.digest("before", record.before_first, 32)))
    return false;
  if (!cursor.digest("prev", record.previous, 32)) return false;
  if (record.kind == AuditKind::checkpoint) {
    std::string signature;
    if (!cursor.text("signature", signature)) return false;
    record.signature = from_hex(signature);
  }
  return cursor.digest("hash", record.hash, 32) && cursor.literal("}") && cursor.at_end();
}

}  // namespace

namespace audit {

std::string signed_part(const AuditRecord& record) {
  std::string line = "{\"seq\":" + std::to_string(record.sequence);
  put(line, "time", audit_time(record.time));
  put(line, "kind", kind_text(record.kind));
  put(line, "host", record.host);
  if (record.kind == AuditKind::act) {
    put(line, "module", record.module);
    put(line, "action", record.entry.action);
    put(line, "outcome", to_string(record.entry.outcome));
    put(line, "domain", record.entry.domain.is_nil() ? "" : record.entry.domain.text());
    put(line, "peer", record.entry.peer);
    put(line, "detail", record.entry.detail);
  } else if (record.kind == AuditKind::checkpoint) {
    put(line, "key", hex(record.key));
  } else if (record.kind == AuditKind::begin) {
    line += ",\"first\":" + std::to_string(record.first);
    put(line, "before", hex(record.before_first));
  } else {
    line += ",\"bytes\":" + std::to_string(record.torn_bytes);
    put(line, "digest", hex(record.torn_digest));
  }
  put(line, "prev", hex(record.previous));
  return line;
}

namespace {

std::string hashed_part(const AuditRecord& record) {
  std::string line = signed_part(record);
  if (record.kind == AuditKind::checkpoint) put(line, "signature", hex(record.signature));
  return line;
}

std::string hash_of(std::string_view hashed) {
  std::string text(kLabel);
  text += '\0';
  text += hashed;
  return identity::sha256(text);
}

}  // namespace

void seal(AuditRecord& record) { record.hash = hash_of(hashed_part(record)); }

}  // namespace audit

std::string audit_time(Microseconds since_1970) {
  const auto seconds = static_cast<std::time_t>(since_1970.value / 1'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[48] = {};
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string micro = std::to_string(1'000'000 + since_1970.value % 1'000'000);
  return std::string(text, size) + "." + micro.substr(1) + "Z";
}

std::string audit_line(const AuditRecord& record) {
  std::string line = audit::hashed_part(record);
  put(line, "hash", hex(record.hash));
  line += '}';
  return line;
}

Result<AuditRecord> parse_audit_line(std::string_view line) {
  if (line.size() > audit::kMaxLine)
    return fail(Code::invalid_argument, "longer than " + std::to_string(audit::kMaxLine) + " bytes");
  AuditRecord record;
  Cursor cursor(line);
  if (!parse_fields(cursor, record))
    return fail(Code::invalid_argument, "not a record: at column " + std::to_string(cursor.place() + 1));
  if (audit_line(record) != line) return fail(Code::invalid_argument, "not as a record is written");
  if (!identity::equal_digests(audit::hash_of(audit::hashed_part(record)), record.hash))
    return fail(Code::tampered, "its hash does not fit: it was changed");
  return record;
}

}  // namespace vmsec
