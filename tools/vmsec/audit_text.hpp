// Audit records for people and as JSON, and the words of the filters.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "json.hpp"
#include "vmsec/audit.hpp"

namespace vmsec::cli {

Result<vmsec::Outcome> parse_outcome(const std::string& word);  // "in-doubt" too
// "2026-08-25T12:00:00Z", "2026-08-25", or how long before `now`: "24h".
Result<Microseconds> parse_since(const std::string& text, UnixSeconds now);
// "17:<64 hexadecimal digits>"
Result<AuditAnchor> parse_anchor(const std::string& text);
std::string anchor_text(const AuditAnchor& anchor);

Json record_json(const AuditRecord& record);
Json report_json(const AuditReport& report);
// `names`: of VMs that are known; the others are named by UUID.
void print_records(const std::vector<AuditRecord>& records, const std::map<Uuid, std::string>& names);

}  // namespace vmsec::cli
