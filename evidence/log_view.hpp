// Logs for people: each event with its digest of one bank and what it says of itself.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "describe.hpp"
#include "ima.hpp"
#include "replay.hpp"

namespace vmsec::boot {

struct ViewedEvent {
  std::uint32_t number = 0;
  std::uint32_t pcr = 0;
  std::uint32_t type = 0;
  bool extends = false;
  std::string digest;  // raw; empty where it extends nothing
  Description description;
};

// What a boot has left behind, as a host keeps it.
struct BootLogs {
  std::string event_log;
  std::string module_log{};  // of vmsec's modules and plugins; empty: none
  std::string ima_list{};    // empty: none
};

struct ViewedBoot {
  Replay replay;                            // as if a TPM had quoted what the logs lead to
  std::vector<ViewedEvent> events;          // numbered from 0, without gaps; modules behind the firmware's log
  std::optional<std::uint32_t> module_pcr;  // of the module log
  std::optional<ImaList> ima;               // all of it is quoted; views into the logs
  std::vector<std::string> remarks;         // on the event log as a whole
};

// Errors name the log that is wrong. `unsupported` where the event log has no digests of the bank.
Result<ViewedBoot> view_boot(const BootLogs& logs, Hash bank);

// Those that were measured into each PCR, in order. Views of `events`.
std::map<std::uint32_t, std::vector<const ViewedEvent*>> by_pcr(const std::vector<ViewedEvent>& events);

}  // namespace vmsec::boot
