// Which attestation key belongs to which host, or guest.
#pragma once

#include <mutex>
#include <string>
#include <unordered_map>

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

// What a host or guest shows, if its attestation key may attest and its endorsement key chains to a root, where there
// are roots.
Result<KeyPair> checked_keys(const Keys& shown, const std::string& ek_roots);

enum class Replace { no, yes };

// Each kind has records of its own: a host's TPM says nothing about a guest's.
enum class Enrolled { host, guest };

// Any thread, at once. Borrows the services.
class Enrolments {
 public:
  Enrolments(Records& records, Journal& journal, Enrolled kind = Enrolled::host)
      : records_(records), journal_(journal), kind_(kind) {}

  // `not_found` for a host that is not enrolled; an error, too, for a damaged record.
  // Read from the records once; then from memory (some 2 KiB a host).
  Result<KeyPair> find(const std::string& host);
  // Of all that are enrolled, also where a record is damaged.
  Result<std::vector<std::string>> hosts();
  // Binds the keys to the host, durably. `already_exists`: the host has others,
  // and they are not to be replaced. `denied`: the keys are another host's.
  Result<Enrolment> add(const std::string& host, const KeyPair& keys, Replace replace);

 private:
  // A host's record, read.
  struct Known {
    KeyPair keys;
    UnixSeconds time;
  };
  // All of these under the lock.
  Result<const Known*> known(const std::string& host);
  const Known* remember(const std::string& host, Known known);
  Status read_all();
  Status check_other(const std::string& host, const std::string& digest, std::string_view what) const;

  [[nodiscard]] std::string record_of(const std::string& host) const;
  [[nodiscard]] std::string named(const std::string& host) const;  // "host web-1"
  Result<EnrolledHost> decoded(const Record& record) const;

  Records& records_;
  Journal& journal_;
  Enrolled kind_;
  std::mutex mutex_;  // no other host may come between check and put
  std::unordered_map<std::string, Known> known_;
  std::unordered_map<std::string, std::string> owners_;  // of each key, whatever its public area says beside
  bool all_read_ = false;
};

// That the name can be a record's key.
Status check_host_name(const std::string& host);
UnixSeconds now();

}  // namespace vmsec::boot
