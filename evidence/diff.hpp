// What an update changes: the boots of before and after, or a reference and a boot.
#pragma once

#include <optional>

#include "log_view.hpp"
#include "reference.hpp"

namespace vmsec::boot {

enum class Change { added, removed, changed };
std::string_view to_string(Change change);

struct Difference {
  Change change = Change::changed;
  std::uint32_t pcr = 0;
  std::string part;                    // "kernel"; "value" of a PCR as a whole
  std::optional<std::uint32_t> event;  // in the log of after; where removed, in the one of before
  std::string before;                  // digests in hexadecimal, "a or b"
  std::string after;
  std::string text;  // what the event says of itself
};

// By digests of that bank, PCR by PCR. Which event became which is told by what they say of themselves.
Result<std::vector<Difference>> diff_boots(const BootLogs& before, const BootLogs& after, Hash bank);
// Of a file that IMA has measured: what the reference's allow list lacks, by its path.
Result<std::vector<Difference>> diff_reference(const Reference& reference, const BootLogs& logs);

// "kernel" of the reference's part "kernel-2".
std::string kind_of_part(std::string_view name);

}  // namespace vmsec::boot
