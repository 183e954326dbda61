// A module that looks at a domain and says what it found (a memory scanner, an
// anomaly detector, a compliance reporter). It changes nothing.
#pragma once

#include <string>
#include <vector>

#include "vmsec/interface.hpp"
#include "vmsec/settings.hpp"

namespace vmsec {

struct InspectionTarget {
  Uuid domain;
  // What to look for this time, in the module's own words; it adds to, or stands
  // before, the module's configuration. Unknown keys are `invalid_argument`.
  Settings wanted;
  static constexpr std::string_view kMessage = "vmsec.InspectionTarget";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &InspectionTarget::domain),
                        wire::field(2, "wanted", &InspectionTarget::wanted));
  }
};

enum class Severity : std::uint32_t { info = 0, warning = 1, critical = 2 };

constexpr std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::critical:
      return "critical";
  }
  return "unknown";
}

// One thing that was found. No guest byte in it.
struct Observation {
  Severity severity = Severity::info;
  std::string subject;  // "memory at 0x12345678", "disk vda", "NIC 0"
  std::string message;
  static constexpr std::string_view kMessage = "vmsec.Observation";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "severity", &Observation::severity),
                        wire::field(2, "subject", &Observation::subject),
                        wire::field(3, "message", &Observation::message));
  }
};

// One thing that was measured, for people: "scanned", "512 MiB".
struct Measurement {
  std::string what;
  std::string value;
  static constexpr std::string_view kMessage = "vmsec.Measurement";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "what", &Measurement::what), wire::field(2, "value", &Measurement::value));
  }
};

// Nothing found is an answer; not having been able to look is an error instead.
struct InspectionReport {
  std::vector<Observation> observations;
  std::vector<Measurement> measurements;
  static constexpr std::string_view kMessage = "vmsec.InspectionReport";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "observations", &InspectionReport::observations),
                        wire::field(2, "measurements", &InspectionReport::measurements));
  }
};

// Implemented by modules. Any thread.
class Inspection {
 public:
  virtual ~Inspection() = default;
  virtual Result<InspectionReport> inspect(const InspectionTarget&) = 0;
};

template <>
struct Methods<Inspection> {
  static constexpr std::string_view kName = "vmsec.Inspection";
  static constexpr auto table() { return std::make_tuple(method(1, "Inspect", &Inspection::inspect)); }
};

template <>
class Proxy<Inspection> final : public Remote<Inspection> {
 public:
  using Remote::Remote;
  Result<InspectionReport> inspect(const InspectionTarget& r) override { return invoke<1>(r); }
};

}  // namespace vmsec
