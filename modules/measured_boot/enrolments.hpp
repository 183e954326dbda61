// Which attestation key belongs to which host, or guest.
#pragma once

#include <mutex>
#include <vector>

#include "evidence/tpm_public.hpp"
#include "messages.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/service/journal.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::boot {

struct KeyPair {
  TpmPublic endorsement;
  TpmPublic attestation;
};

enum class Replace { no, yes };

// Each kind has records of its own: a host's TPM says nothing about a guest's.
enum class Enrolled { host, guest };

// Any thread, at once. Borrows the services.
class Enrolments {
 public:
  Enrolments(Records& records, Journal& journal, Enrolled kind = Enrolled::host)
      : records_(records), journal_(journal), kind_(kind) {}

  // `not_found` for a host that is not enrolled; an error, too, for a damaged record.
  Result<KeyPair> find(const std::string& host);
  // Binds the keys to the host, durably. `already_exists`: the host has others,
  // and they are not to be replaced. `denied`: the keys are another host's.
  Result<Enrolment> add(const std::string& host, const KeyPair& keys, Replace replace);

 private:
  Status check_others(const std::string& host, const KeyPair& keys);

  [[nodiscard]] std::string record_of(const std::string& host) const;
  [[nodiscard]] std::string named(const std::string& host) const;  // "host web-1"
  Result<EnrolledHost> decoded(const Record& record) const;

  Records& records_;
  Journal& journal_;
  Enrolled kind_;
  std::mutex mutex_;  // no other host may come between check and put
};

// That the name can be a record's key.
Status check_host_name(const std::string& host);
UnixSeconds now();

}  // namespace vmsec::boot
