// Linux' IMA list against a quote and a reference.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ima.hpp"
#include "reference.hpp"
#include "replay.hpp"

namespace vmsec::boot {

// Files go on being measured between the quote and the reading of the list: how many of its
// entries, from the first, lead from `start` to the PCR's value. nullopt: none do.
Result<std::optional<std::size_t>> ima_prefix(std::string_view list, const ImaList& read, Hash bank,
                                              const std::string& start, std::string_view value);

// Why the first `count` entries are not what the reference allows; empty when they are.
// `replay` has the values of PCR 0 to 9 that a quote has confirmed.
Result<std::string> ima_cause(const ImaReference& reference, const ImaList& list, std::size_t count,
                              const Replay& replay);

}  // namespace vmsec::boot
