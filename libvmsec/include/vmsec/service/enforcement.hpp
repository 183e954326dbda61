// A module that makes a domain be what the policy says (isolation, throttle).
#pragma once

#include <string>
#include <vector>

#include "vmsec/interface.hpp"
#include "vmsec/settings.hpp"

namespace vmsec {

struct EnforcementTarget {
  Uuid domain;
  Settings wanted;  // the domain's section of the policy for this module
  static constexpr std::string_view kMessage = "vmsec.EnforcementTarget";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &EnforcementTarget::domain),
                        wire::field(2, "wanted", &EnforcementTarget::wanted));
  }
};

// One value that is not as wanted. Values are written for people, with units.
struct Change {
  std::string what;    // "vda.read"
  std::string is;      // "unlimited"
  std::string wanted;  // "20 MB/s"
  static constexpr std::string_view kMessage = "vmsec.Change";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "what", &Change::what), wire::field(2, "is", &Change::is),
                        wire::field(3, "wanted", &Change::wanted));
  }
};

struct Changes {
  std::vector<Change> changes;
  static constexpr std::string_view kMessage = "vmsec.Changes";
  static constexpr auto fields() { return wire::fields(wire::field(1, "changes", &Changes::changes)); }
};

// Implemented by modules. Any thread.
class Enforcement {
 public:
  virtual ~Enforcement() = default;
  // Everything that is wrong with a section, without looking at any domain.
  virtual Result<Findings> check(const Settings&) = 0;
  // What apply() would change. Changes nothing.
  virtual Result<Changes> diff(const EnforcementTarget&) = 0;
  // Makes it so; answers what it changed, nothing when all was as wanted.
  virtual Result<Changes> apply(const EnforcementTarget&) = 0;
};

template <>
struct Methods<Enforcement> {
  static constexpr std::string_view kName = "vmsec.Enforcement";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Check", &Enforcement::check), method(2, "Diff", &Enforcement::diff),
                           method(3, "Apply", &Enforcement::apply));
  }
};

template <>
class Proxy<Enforcement> final : public Remote<Enforcement> {
 public:
  using Remote::Remote;
  Result<Findings> check(const Settings& r) override { return invoke<1>(r); }
  Result<Changes> diff(const EnforcementTarget& r) override { return invoke<2>(r); }
  Result<Changes> apply(const EnforcementTarget& r) override { return invoke<3>(r); }
};

}  // namespace vmsec
