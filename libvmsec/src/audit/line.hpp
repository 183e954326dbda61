// Parts of a record's line that only the log itself needs.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/audit.hpp"

namespace vmsec::audit {

inline constexpr std::size_t kMaxLine = 64 << 10;
inline constexpr std::string_view kCheckpointLabel = "vmsec audit checkpoint v1";

// What a checkpoint's signature covers: all of the line before it.
std::string signed_part(const AuditRecord& record);
// Sets the hash; all else is there.
void seal(AuditRecord& record);

}  // namespace vmsec::audit
