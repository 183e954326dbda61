// A log for people: each event with its digest of one bank and what it says of itself.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "describe.hpp"
#include "eventlog.hpp"

namespace vmsec::boot {

struct ViewedEvent {
  std::uint32_t number = 0;
  std::uint32_t pcr = 0;
  std::uint32_t type = 0;
  bool extends = false;
  std::string digest;  // raw; empty where it extends nothing
  Description description;
};

// `unsupported` where the log has no digests of the bank.
Result<std::vector<ViewedEvent>> view_log(std::string_view log, Hash bank);

// Those that were measured into each PCR, in order. Views of `events`.
std::map<std::uint32_t, std::vector<const ViewedEvent*>> by_pcr(const std::vector<ViewedEvent>& events);

}  // namespace vmsec::boot
