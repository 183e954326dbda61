// Texts of a record, and the head file beside a log.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "vmsec/audit.hpp"

namespace vmsec::audit {

// At most `limit` bytes of valid UTF-8; other bytes become "?".
std::string clean_text(std::string_view text, std::size_t limit);
AuditEntry clean_entry(const AuditEntry& entry);

std::filesystem::path head_file(const std::filesystem::path& log);
// Nothing where there is no head; `tampered` where it is no checkpoint.
Result<std::optional<AuditRecord>> read_head(const std::filesystem::path& log);

}  // namespace vmsec::audit
