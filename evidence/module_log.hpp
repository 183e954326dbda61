// The log of modules and plugins that this host's agent has loaded, each measured
// into a PCR before its code ran.
//
// A crypto-agile event log of one PCR: behind its header an EV_NO_ACTION event with the TPM's
// reset counter, so that a log of an earlier boot is known as such, and what the PCR was before;
// then an EV_EVENT_TAG event for each. Its digests are over the event's data, which is therefore
// as good as the PCR.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evidence.hpp"
#include "replay.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

struct LoadedObject {
  std::string kind;    // "module" or "plugin"
  std::string name;    // 1 to 64 of a-z A-Z 0-9 . _ -
  std::string digest;  // SHA-256 of its file, in hexadecimal
  friend bool operator==(const LoadedObject&, const LoadedObject&) = default;
};

struct MeasuredObject {
  std::size_t offset = 0;  // of its event in the log
  LoadedObject object;
  std::vector<EventDigest> digests;  // views into the log
};

struct ModuleLogStart {
  std::uint32_t reset_count = 0;
  std::uint32_t pcr = 0;
  std::string value;  // of the PCR in the first bank, before the first object
};

struct ModuleLog {
  std::vector<Bank> banks;
  ModuleLogStart start;
  std::vector<MeasuredObject> objects;
};

// 8 to 15, but for 10, which is IMA's: those of an operating system.
bool is_module_pcr(std::uint32_t pcr);
Status check_object(const LoadedObject& object);

std::string begin_module_log(const std::vector<Bank>& banks, const ModuleLogStart& start);
// What the event's digests are over.
std::string module_event_data(const LoadedObject& object);
Result<std::string> module_event(std::uint32_t pcr, const std::vector<Bank>& banks, const LoadedObject& object);

// Strict: an event of any other kind, and a digest that is not of its data, is an error with its byte.
Result<ModuleLog> read_module_log(std::string_view log);

// Goes on where the firmware's log has ended, for each PCR as far as to what it is claimed to be: an object that is
// written down and not yet measured is not loaded yet, and not in the answer.
Result<ModuleLog> replay_modules(Replay& replay, std::string_view log, const std::vector<ClaimedPcr>& claimed = {});

// How many of the log's objects, from the first, lead to that value of the PCR in the first bank; nullopt: none do.
Result<std::optional<std::size_t>> measured_objects(const ModuleLog& log, std::string_view value);

}  // namespace vmsec::boot
