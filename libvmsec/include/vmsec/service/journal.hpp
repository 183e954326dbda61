// What modules tell the operator: audit records and log lines.
#pragma once

#include <string>

#include "vmsec/interface.hpp"

namespace vmsec {

enum class Outcome : std::uint32_t { unknown = 0, succeeded = 1, refused = 2, failed = 3, in_doubt = 4 };

inline std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::unknown:
      return "unknown";
    case Outcome::succeeded:
      return "succeeded";
    case Outcome::refused:
      return "refused";
    case Outcome::failed:
      return "failed";
    case Outcome::in_doubt:
      return "in doubt";
  }
  return "unknown";
}

// One state-changing act, or the refusal of one.
struct AuditEntry {
  std::string action;  // "migration.prepare", "isolation.apply"
  Outcome outcome = Outcome::unknown;
  Uuid domain;         // nil where it is about no domain
  std::string peer;    // the other host, where there is one
  std::string detail;  // names cause and limit; no secret, no guest byte
  static constexpr std::string_view kMessage = "vmsec.AuditEntry";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "action", &AuditEntry::action), wire::field(2, "outcome", &AuditEntry::outcome),
                        wire::field(3, "domain", &AuditEntry::domain), wire::field(4, "peer", &AuditEntry::peer),
                        wire::field(5, "detail", &AuditEntry::detail));
  }
};

enum class LogLevel : std::uint32_t { debug = 0, info = 1, warning = 2, error = 3 };

struct LogLine {
  LogLevel level = LogLevel::debug;  // 0 is not written, so the default must be 0
  std::string text;
  static constexpr std::string_view kMessage = "vmsec.LogLine";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "level", &LogLine::level), wire::field(2, "text", &LogLine::text));
  }
};

// The core adds the module's name and the time. Any thread.
class Journal {
 public:
  virtual ~Journal() = default;
  // Durable when it answers. An act whose record cannot be written must not happen.
  // `limit_exceeded`: beyond a module's measure, of 5000 records at once and 20 in each
  // second.
  virtual Result<Empty> audit(const AuditEntry&) = 0;
  virtual Result<Empty> log(const LogLine&) = 0;
};

template <>
struct Methods<Journal> {
  static constexpr std::string_view kName = "vmsec.Journal";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Audit", &Journal::audit), method(2, "Log", &Journal::log));
  }
};

template <>
class Proxy<Journal> final : public Remote<Journal> {
 public:
  using Remote::Remote;
  Result<Empty> audit(const AuditEntry& r) override { return invoke<1>(r); }
  Result<Empty> log(const LogLine& r) override { return invoke<2>(r); }
};

}  // namespace vmsec
