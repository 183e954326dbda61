#include "audit/chain.hpp"

#include <unistd.h>

#include <utility>

#include "audit/line.hpp"
#include "identity/openssl.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::audit {

std::unexpected<Error> Chain::bad(std::uint64_t line, std::string cause, Code code) {
  bad_line_ = line;
  return fail(code, "line " + std::to_string(line) + ": " + std::move(cause));
}

Status Chain::check_link(const AuditRecord& record) const {
  const auto broken = [](std::string cause) { return fail(Code::tampered, std::move(cause)); };
  // What comes before a record is at fault, not the record: only `torn` may follow it.
  if (!torn.empty() && record.kind != AuditKind::torn) return broken(torn_cause_);
  if (late_ && sequence == 0 && record.sequence > 1 && torn.empty()) return {};
  if (record.sequence != sequence + 1)
    return broken("record " + std::to_string(record.sequence) + " follows record " + std::to_string(sequence) +
                  ": records were removed, inserted or reordered");
  if (!identity::equal_digests(record.previous, hash))
    return broken("record " + std::to_string(record.sequence) + " does not continue the record before it");
  if (sequence > 0 && record.host != host) return broken("the record is another host's");
  if (record.kind == AuditKind::begin && record.first > record.sequence)
    return broken("it tells of records that are still to come");
  if (record.kind != AuditKind::torn) return {};
  if (torn.empty() || record.torn_bytes != torn.size() ||
      !identity::equal_digests(record.torn_digest, identity::sha256(torn)))
    return broken("it tells of a torn line that is not there, or another one");
  return {};
}

void Chain::begin_file() {
  end = 0;
  file_first = sequence + 1;
  line_ = 0;
}

Status Chain::check_begin() const {
  if (first <= 1 || first < told_.first) return {};
  if (first == told_.first && identity::equal_digests(before_first_, told_.before)) return {};
  if (first == told_.first)
    return fail(Code::tampered, "its first record does not follow the one that was removed last");
  return fail(Code::tampered, "record " + std::to_string(first) +
                                  " is the first one, and no signed record tells that " + std::to_string(told_.first) +
                                  " to " + std::to_string(first - 1) + " were removed: a file of the log is missing");
}

void Chain::accept(const AuditRecord& record, std::uint64_t new_end) {
  if (first == 0) {
    first = record.sequence;
    file_first = record.sequence;
    before_first_ = record.previous;
  }
  const auto telling = std::exchange(telling_, std::nullopt);
  if (record.kind == AuditKind::begin) telling_ = Begin{record.first, record.before_first};
  if (record.kind == AuditKind::checkpoint && telling) told_ = *telling;
  sequence = record.sequence;
  hash = record.hash;
  host = record.host;
  end = new_end;
  torn.clear();
  torn_line_ = 0;
  unsigned_records = record.kind == AuditKind::checkpoint ? 0 : unsigned_records + 1;
}

AuditRecord Chain::next(AuditKind kind) const {
  AuditRecord record;
  record.kind = kind;
  record.sequence = sequence + 1;
  record.previous = hash;
  return record;
}

Status Chain::take(std::string_view line, std::uint64_t end_of_line, const Visit& visit) {
  ++line_;
  auto record = parse_audit_line(line);
  if (!record) {
    // A record whose hash is wrong was changed; no crash does that.
    if (record.error().code == Code::tampered) return bad(line_, record.error().message);
    if (torn.empty()) {
      torn_line_ = line_;
      torn_cause_ = record.error().message;
    }
    torn.append(line).append("\n");
    if (torn.size() > kMaxTorn) return bad(torn_line_, record.error().message);
    return {};
  }
  const Status linked = check_link(*record);
  if (!linked) return bad(torn.empty() ? line_ : torn_line_, linked.error().message);
  const Status visited = visit(*record);
  if (!visited) return bad(line_, visited.error().message, visited.error().code);
  accept(*record, end_of_line);
  return {};
}

// The bytes behind the last newline.
Result<Tail> Chain::take_tail(std::string_view rest, const Visit& visit) {
  if (rest.empty()) return torn.empty() ? Tail::clean : Tail::torn;
  if (auto record = parse_audit_line(rest); record && check_link(*record)) {
    const std::uint64_t start = end + torn.size();
    VMSEC_CHECK(take(rest, start + rest.size() + 1, visit));
    return Tail::unended;
  }
  if (torn.size() + rest.size() > kMaxTorn) return bad(line_ + 1, "not a record");
  if (torn.empty()) torn_line_ = line_ + 1;
  torn.append(rest);
  return Tail::torn;
}

Result<Tail> Chain::walk(int fd, const Visit& visit) {
  // Lines of an earlier walk that were no records are read once more.
  if (torn_line_ > 0) line_ = torn_line_ - 1;
  torn.clear();
  torn_line_ = 0;
  std::string buffer;
  std::uint64_t at = end;  // of buffer's begin in the file
  char block[64 << 10];
  while (true) {
    const ssize_t count = ::pread(fd, block, sizeof block, static_cast<off_t>(at + buffer.size()));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error("read audit log"));
    if (count == 0) return take_tail(buffer, visit);
    buffer.append(block, static_cast<std::size_t>(count));
    std::size_t begin = 0;
    for (std::size_t newline; (newline = buffer.find('\n', begin)) != std::string::npos; begin = newline + 1)
      VMSEC_CHECK(take(std::string_view(buffer).substr(begin, newline - begin), at + newline + 1, visit));
    buffer.erase(0, begin);
    at += begin;
    if (buffer.size() > kMaxTorn) return bad(line_ + 1, "not a record: a line without end");
  }
}

}  // namespace vmsec::audit
