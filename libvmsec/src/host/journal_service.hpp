// vmsec.Journal: one module's audit records and log lines.
#pragma once

#include <string>

#include "host/log.hpp"
#include "host/record_limiter.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

// Of one module: so many records and lines at once, then so many in each second.
// A record counts once for each kRecordSize bytes of its texts. What the module has refused is somebody else's
// doing, a peer's for example: it has a measure of its own, so that nobody keeps the module from acting.
inline constexpr std::uint32_t kRecordsAtOnce = 5000;
inline constexpr std::uint32_t kRecordsPerSecond = 20;
inline constexpr std::size_t kRecordSize = 1024;
inline constexpr std::uint32_t kLinesPerSecond = 200;

inline RecordLimits journal_record_limits() {
  RecordLimits limits;
  limits.what = "record";
  limits.kinds = 0;
  limits.burst = kRecordsAtOnce;
  limits.refill = kRecordsPerSecond;
  limits.pause = std::chrono::seconds(1);
  return limits;
}

inline RecordLimits journal_line_limits() {
  RecordLimits limits = journal_record_limits();
  limits.what = "line";
  limits.burst = kLinesPerSecond;
  limits.refill = kLinesPerSecond;
  return limits;
}

class JournalService final : public Journal {
 public:
  // The limiters are those of all modules.
  JournalService(std::string module, AuditLog& audit, RecordLimiter& records, RecordLimiter& lines)
      : module_(std::move(module)), audit_(audit), records_(records), lines_(lines) {}

  // Beyond its measure a module writes nothing, so it may not act either; the core counts that. Of refusals beyond
  // theirs only the number is told.
  Result<Empty> audit(const AuditEntry& entry) override {
    const bool refused = entry.outcome == Outcome::refused;
    const auto ruling = admit(refused, size_of(entry));
    if (!ruling.write && refused) return Empty{};
    if (!ruling.write)
      return fail(Code::limit_exceeded, "audit: " + std::to_string(kRecordsAtOnce) + " records at once, and " +
                                            std::to_string(kRecordsPerSecond) + " in each second, are a module's");
    if (!ruling.before.empty())
      VMSEC_CHECK(audit_.append("core", {"journal.limit", Outcome::refused, {}, {}, ruling.before}));
    VMSEC_CHECK(audit_.append(module_, entry));
    return Empty{};
  }

  // A line is cut, and there are so many in a second; of those beyond, one line tells.
  Result<Empty> log(const LogLine& line) override {
    const auto ruling = lines_.admit(source(), "log");
    if (ruling.write) {
      write_log(line.level, module_, line.text.substr(0, kLongestLine));
      return Empty{};
    }
    if (ruling.counted == 1)
      write_log(LogLevel::warning, module_,
                "more than " + std::to_string(kLinesPerSecond) + " log lines in a second: the others are not written");
    return fail(Code::limit_exceeded, "log: " + std::to_string(kLinesPerSecond) + " lines in a second are written");
  }

 private:
  static constexpr std::size_t kLongestLine = 4096;

  [[nodiscard]] RecordSource source() const { return {module_, Standing::known, module_, {}, "core"}; }

  static std::size_t size_of(const AuditEntry& entry) {
    return entry.action.size() + entry.peer.size() + entry.detail.size();
  }
  RecordLimiter::Ruling admit(bool refused, std::size_t size) {
    RecordSource from = source();
    if (refused) from.caller += ", refusing";
    auto ruling = records_.admit(from, refused ? "journal.refused" : "journal.limit");
    for (std::size_t more = size / kRecordSize; ruling.write && more > 0; --more) {
      auto next = records_.admit(from, "journal.limit");
      next.before = ruling.before + next.before;
      ruling = std::move(next);
    }
    return ruling;
  }

  const std::string module_;
  AuditLog& audit_;
  RecordLimiter& records_;
  RecordLimiter& lines_;
};

}  // namespace vmsec::host
