// Attestation of guests by their own TPMs, and secrets for those that are trusted. Implemented by the measured_boot
// module; asked by operators and, through the Host, by other modules.
#pragma once

#include <string>

#include "vmsec/interface.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/types.hpp"

namespace vmsec {

struct EnrolGuest {
  Uuid domain;
  bool replace = false;  // an operator's word that the guest's TPM may change
  static constexpr std::string_view kMessage = "vmsec.EnrolGuest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &EnrolGuest::domain), wire::field(2, "replace", &EnrolGuest::replace));
  }
};

struct GuestRef {
  Uuid domain;
  static constexpr std::string_view kMessage = "vmsec.GuestRef";
  static constexpr auto fields() { return wire::fields(wire::field(1, "domain", &GuestRef::domain)); }
};

struct ReleaseSecret {
  Uuid domain;
  std::string name;    // what the agent in the guest calls it: 1 to 64 of a-z A-Z 0-9 . _ -
  std::string secret;  // 1 to kMaxGuestSecret bytes
  static constexpr std::string_view kMessage = "vmsec.ReleaseSecret";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &ReleaseSecret::domain), wire::field(2, "name", &ReleaseSecret::name),
                        wire::field(3, "secret", &ReleaseSecret::secret));
  }
};

inline constexpr std::size_t kMaxGuestSecret = 4096;

struct SecretRelease {
  AttestationReport report;
  bool released = false;  // the guest has proven that it holds the secret; never set unless the verdict is trusted
  static constexpr std::string_view kMessage = "vmsec.SecretRelease";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "report", &SecretRelease::report),
                        wire::field(2, "released", &SecretRelease::released));
  }
};

// Any thread. attest() and release() answer a report for every verdict, whose `host` is the domain's UUID; an Error
// means that the call itself could not be made, or that a secret was on its way and nobody has confirmed it.
class GuestAttestation {
 public:
  virtual ~GuestAttestation() = default;
  // Proves that the guest's attestation key lives in the TPM of its endorsement key, and keeps both for the domain.
  // `already_exists` for a guest that has another TPM, unless replace is set; `denied` for a TPM that is another
  // guest's, as a copy of its state is.
  virtual Result<Enrolment> enrol(const EnrolGuest&) = 0;
  virtual Result<AttestationReport> attest(const GuestRef&) = 0;
  // Attests afresh; only where the verdict is `trusted` the secret is sealed to the guest's TPM and to the very agent
  // that this quote is about.
  virtual Result<SecretRelease> release(const ReleaseSecret&) = 0;
  virtual Result<ReferenceText> learn(const GuestRef&) = 0;
};

template <>
struct Methods<GuestAttestation> {
  static constexpr std::string_view kName = "vmsec.GuestAttestation";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Enrol", &GuestAttestation::enrol), method(2, "Attest", &GuestAttestation::attest),
                           method(3, "Release", &GuestAttestation::release),
                           method(4, "Learn", &GuestAttestation::learn));
  }
  // None: a module is granted single VMs, and measured_boot acts for all of them.
  static constexpr bool for_modules(std::uint32_t) { return false; }
};

template <>
class Proxy<GuestAttestation> final : public Remote<GuestAttestation> {
 public:
  using Remote::Remote;
  Result<Enrolment> enrol(const EnrolGuest& r) override { return invoke<1>(r); }
  Result<AttestationReport> attest(const GuestRef& r) override { return invoke<2>(r); }
  Result<SecretRelease> release(const ReleaseSecret& r) override { return invoke<3>(r); }
  Result<ReferenceText> learn(const GuestRef& r) override { return invoke<4>(r); }
};

}  // namespace vmsec
