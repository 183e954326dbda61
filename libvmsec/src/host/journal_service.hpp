// vmsec.Journal: one module's audit records and log lines.
#pragma once

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

  Result<Empty> log(const LogLine& line) override {
    write_log(line.level, module_, line.text);
    return Empty{};
  }

 private:
  const std::string module_;
  AuditLog& audit_;
};

}  // namespace vmsec::host
