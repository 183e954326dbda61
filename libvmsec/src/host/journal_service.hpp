// vmsec.Journal: one module's audit records and log lines.
#pragma once

#include <chrono>
#include <mutex>
#include <string>

#include "host/log.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::host {

class JournalService final : public Journal {
 public:
  JournalService(std::string module, AuditLog& audit) : module_(std::move(module)), audit_(audit) {}

  Result<Empty> audit(const AuditEntry& entry) override {
    VMSEC_CHECK(audit_.append(module_, entry));
    return Empty{};
  }

  // A line is cut, and there are so many in a second; of those beyond, one line tells.
  Result<Empty> log(const LogLine& line) override {
    switch (admit()) {
      case Admitted::yes:
        write_log(line.level, module_, line.text.substr(0, kLongestLine));
        return Empty{};
      case Admitted::first_beyond:
        write_log(
            LogLevel::warning, module_,
            "more than " + std::to_string(kLinesPerSecond) + " log lines in a second: the others are not written");
        break;
      case Admitted::no:
        break;
    }
    return fail(Code::limit_exceeded, "log: " + std::to_string(kLinesPerSecond) + " lines in a second are written");
  }

 private:
  static constexpr std::size_t kLongestLine = 4096;
  static constexpr std::uint32_t kLinesPerSecond = 200;
  enum class Admitted { yes, first_beyond, no };

  Admitted admit() {
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    if (now - second_ >= std::chrono::seconds(1)) {
      second_ = now;
      lines_ = 0;
    }
    if (lines_ > kLinesPerSecond) return Admitted::no;
    return ++lines_ > kLinesPerSecond ? Admitted::first_beyond : Admitted::yes;
  }

  const std::string module_;
  AuditLog& audit_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point second_;
  std::uint32_t lines_ = 0;
};

}  // namespace vmsec::host
