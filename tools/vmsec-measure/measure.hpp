// Measures a module or plugin into a PCR, and writes it down.
#pragma once

#include <string>

#include "evidence/module_log.hpp"

namespace vmsec::boot {

struct MeasureRequest {
  std::string tcti;
  std::uint32_t pcr = 0;
  std::string log;
  LoadedObject object;
};

// Once it succeeds, the PCR has it and the log tells so, on the disk. What is in the log
// of this boot, and in the PCR, is not measured again: a restart of the agent changes no PCR. One
// at a time, by a lock beside the log. After an error the object must not be loaded. `tampered`:
// the log does not lead to what the PCR is; nobody else may extend it.
Status measure(const MeasureRequest& request);

}  // namespace vmsec::boot
