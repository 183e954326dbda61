// The files of a log that is rotated: audit.log.NUMBER, by the number of their first record.
#pragma once

#include <filesystem>

#include "audit/chain.hpp"

namespace vmsec::audit {

std::filesystem::path rotated_file(const std::filesystem::path& log, std::uint64_t first);
// Whether it is the file that this descriptor has open.
bool is_same_file(const std::filesystem::path& file, int fd);
// Walks all rotated files, the oldest first. The chain then stands at the log's own file.
// The error names the file, which `bad` is too.
Status walk_rotated(const std::filesystem::path& log, Chain& chain, const Chain::Visit& visit,
                    std::filesystem::path& bad);

}  // namespace vmsec::audit
