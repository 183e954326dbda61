// The offline verifier, and reading for people.
#include <sys/stat.h>

#include <deque>

#include "audit/chain.hpp"
#include "audit/line.hpp"
#include "audit/rotated.hpp"
#include "audit/text.hpp"
#include "identity/openssl.hpp"

namespace vmsec {
namespace fs = std::filesystem;

namespace {

Result<Fd> open_log(const fs::path& log) {
  Fd fd(::open(log.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid())
    return fail(errno_error("read audit log " + log.string(), errno, errno == ENOENT ? Code::not_found : Code::io));
  return fd;
}

Status check_signature(const AuditRecord& record, const std::vector<PublicKey>& keys) {
  for (const auto& key : keys) {
    if (!identity::equal_digests(key.digest(), record.key)) continue;
    if (key.verify(audit::kCheckpointLabel, audit::signed_part(record), record.signature)) return {};
    return fail(Code::tampered, "the checkpoint's signature is wrong");
  }
  return fail(Code::tampered, "the checkpoint was signed by another key");
}

Status check_place(const AuditRecord& record, const AuditAnchor& place, std::string_view what) {
  if (record.sequence != place.sequence || identity::equal_digests(record.hash, place.hash)) return {};
  return fail(Code::tampered,
              "record " + std::to_string(place.sequence) + " is not the one that " + std::string(what) + " tells of");
}

// Compares a log with what was remembered of it elsewhere.
struct Remembered {
  std::optional<AuditAnchor> head;
  std::optional<AuditAnchor> anchor;

  [[nodiscard]] Status check(const AuditRecord& record) const {
    if (head) VMSEC_CHECK(check_place(record, *head, "audit.head"));
    if (anchor) VMSEC_CHECK(check_place(record, *anchor, "the anchor"));
    return {};
  }
  // The log's end: whatever was remembered must have come by.
  [[nodiscard]] std::string missing(std::uint64_t first, std::uint64_t last) const {
    if (anchor && anchor->sequence < first)
      return "the anchor tells of record " + std::to_string(anchor->sequence) + ", and the log begins with record " +
             std::to_string(first) +
             ": it proves nothing of what is left; take an anchor of a record that is still there";
    const auto text = [&](std::uint64_t sequence, std::string_view what) {
      return "the log ends at record " + std::to_string(last) + ", " + std::string(what) + " tells of record " +
             std::to_string(sequence) + ": it was cut back";
    };
    if (head && head->sequence > last) return text(head->sequence, "audit.head");
    if (anchor && anchor->sequence > last) return text(anchor->sequence, "the anchor");
    return {};
  }
};

void condemn(AuditReport& report, const fs::path& file, std::uint64_t line, std::string cause) {
  report.bad_line = std::max<std::uint64_t>(line, 1);
  report.bad_file = file;
  report.cause = std::move(cause);
}

Status read_remembered(const fs::path& log, const std::vector<PublicKey>& keys, Remembered& remembered) {
  VMSEC_TRY(const auto head, audit::read_head(log));
  if (!head) return {};
  const Status good = check_signature(*head, keys);
  if (!good) return fail(good.error().in("audit.head"));
  remembered.head = AuditAnchor{head->sequence, head->hash};
  return {};
}

// What is wrong with the log as a whole, when each record of it fits.
void check_whole(const fs::path& log, const audit::Chain& chain, audit::Tail tail, const Status& head,
                 const Remembered& remembered, AuditHead head_rule, AuditReport& report) {
  const std::uint64_t next_line = chain.lines() + 1;
  if (const Status begins = chain.check_begin(); !begins) {
    const auto rotated = rotated_audit_files(log);
    condemn(report, rotated.empty() ? log : rotated.front(), 1, begins.error().message);
  } else if (tail != audit::Tail::clean)
    condemn(report, log, chain.torn.empty() ? chain.lines() : chain.torn_line(),
            "the last line is torn: its writer crashed, or it was cut");
  else if (!head)
    condemn(report, log, next_line, head.error().message);
  else if (!remembered.head && !remembered.anchor && head_rule == AuditHead::wanted)
    condemn(report, log, next_line, "audit.head is not there, and no anchor was given: the log may have been cut back");
  else if (const std::string gap = remembered.missing(chain.first, chain.sequence); !gap.empty())
    condemn(report, log, next_line, gap);
  else if (report.checkpoints == 0)
    condemn(report, log, next_line, "there is no checkpoint: nobody signed any of it");
}

bool matches(const AuditRecord& record, const AuditFilter& filter) {
  if (filter.kind && record.kind != *filter.kind) return false;
  if (filter.domain && record.entry.domain != *filter.domain) return false;
  if (!filter.module.empty() && record.module != filter.module) return false;
  if (filter.outcome && record.entry.outcome != *filter.outcome) return false;
  if (filter.since && record.time < *filter.since) return false;
  if (filter.action.empty() || record.entry.action == filter.action) return true;
  return record.entry.action.starts_with(filter.action + ".");
}

Result<AuditReport> verify_once(const fs::path& log, const std::vector<PublicKey>& keys,
                                const std::optional<AuditAnchor>& anchor, AuditHead head_rule) {
  VMSEC_TRY(const Fd fd, open_log(log));
  AuditReport report;
  Remembered remembered{{}, anchor};
  const Status head = read_remembered(log, keys, remembered);
  audit::Chain chain;
  chain.begins_late();
  const auto visit = [&](const AuditRecord& record) -> Status {
    VMSEC_CHECK(remembered.check(record));
    if (record.kind == AuditKind::checkpoint) {
      VMSEC_CHECK(check_signature(record, keys));
      ++report.checkpoints;
      report.anchor = {record.sequence, record.hash};
    }
    ++report.records;
    if (record.kind == AuditKind::torn) ++report.torn;
    return {};
  };
  fs::path bad;
  const Status rotated = audit::walk_rotated(log, chain, visit, bad);
  report.files = rotated_audit_files(log).size() + 1;
  auto walked = rotated ? chain.walk(fd.get(), visit) : Result<audit::Tail>(fail(rotated.error()));
  report.unsigned_records = chain.unsigned_records;
  report.first = chain.first;
  const bool is_bad = chain.bad_line() > 0 || (!walked && walked.error().code == Code::tampered);
  if (!walked && !is_bad) return fail(walked.error().in(log.string()));
  if (!walked)
    condemn(report, bad.empty() ? log : bad, chain.bad_line(), walked.error().message);
  else
    check_whole(log, chain, *walked, head, remembered, head_rule, report);
  report.head_checked = report.good() && remembered.head.has_value();
  return report;
}

Result<std::vector<AuditRecord>> read_once(const fs::path& log, const AuditFilter& filter) {
  VMSEC_TRY(const Fd fd, open_log(log));
  std::deque<AuditRecord> found;
  audit::Chain chain;
  chain.begins_late();
  const auto visit = [&](const AuditRecord& record) -> Status {
    if (!matches(record, filter)) return {};
    found.push_back(record);
    if (filter.limit > 0 && found.size() > filter.limit) found.pop_front();
    return {};
  };
  fs::path ignored;
  if (const Status rotated = audit::walk_rotated(log, chain, visit, ignored); !rotated)
    return fail(rotated.error().in("read audit log " + log.string()));
  const auto walked = chain.walk(fd.get(), visit);
  if (!walked) return fail(walked.error().in("read audit log " + log.string()));
  return std::vector<AuditRecord>(std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
}

// A log that is rotated while it is read looks broken: then it is read again.
template <class Read>
auto undisturbed(const fs::path& log, Read read) {
  constexpr int kAttempts = 5;
  const auto files = [&] {
    struct stat found{};
    return std::pair(::stat(log.c_str(), &found) == 0 ? found.st_ino : 0, rotated_audit_files(log));
  };
  auto before = files();
  for (int attempt = 1;; ++attempt) {
    auto result = read();
    const auto after = files();
    if (before == after || attempt == kAttempts) return result;
    before = after;
  }
}

}  // namespace

Result<AuditReport> verify_audit(const fs::path& log, const std::vector<PublicKey>& keys,
                                 const std::optional<AuditAnchor>& anchor, AuditHead head_rule) {
  return undisturbed(log, [&] { return verify_once(log, keys, anchor, head_rule); });
}

Result<std::vector<AuditRecord>> read_audit(const fs::path& log, const AuditFilter& filter) {
  return undisturbed(log, [&] { return read_once(log, filter); });
}

}  // namespace vmsec
