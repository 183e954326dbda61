// Measures a module or plugin into a PCR, and writes it down.
#pragma once

#include <string>

#include "evidence/module_log.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::boot {

struct MeasureRequest {
  std::string tcti;
  std::uint32_t pcr = 0;
  std::string log;
  LoadedObject object;
};

// Beside the log, as LOG.pending, while an object is measured: the log is ahead of the TPM then. What an end in between
// leaves behind is mended by the next measurement.
struct PendingMeasurement {
  std::uint32_t reset_count = 0;
  std::uint32_t pcr = 0;
  std::string value;  // of the PCR in the first bank, without the object
  std::string log;    // without it
  static constexpr std::string_view kMessage = "vmsec.measured_boot.PendingMeasurement";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "reset_count", &PendingMeasurement::reset_count),
                        wire::field(2, "pcr", &PendingMeasurement::pcr),
                        wire::field(3, "value", &PendingMeasurement::value),
                        wire::field(4, "log", &PendingMeasurement::log));
  }
};

// Once it succeeds, the PCR has it and the log tells so, on the disk. What is in the log
// of this boot is not measured again: a restart of the agent changes no PCR. One at a time,
// by a lock beside the log. After an error the object must not be loaded.
Status measure(const MeasureRequest& request);

}  // namespace vmsec::boot
