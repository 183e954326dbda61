// The last verdict on each enrolled host, and what has changed.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "clock.hpp"
#include "vmsec/service/attestation.hpp"
#include "vmsec/service/journal.hpp"

namespace vmsec::boot {

// What was found out about a host.
struct Finding {
  Verdict verdict = Verdict::unknown;
  std::string cause;
  SteadyTime asked;  // when its evidence was asked for
};

// Any thread. In memory: an agent that starts anew knows nothing until it has asked.
// A change is audited, and queued for who waits in next().
class Verdicts {
 public:
  explicit Verdicts(Journal& journal) : journal_(journal) {}

  // The host is enrolled: from now on there is a verdict on it.
  void admit(const std::string& host);
  // Nothing is changed by what is about a host that is not enrolled, or a revoked one,
  // nor by evidence that was asked for earlier than the last.
  void note(const std::string& host, const Finding& finding);
  // Untrusted, whatever is found out, until it is forgotten.
  void revoke(const std::string& host, const std::string& cause);
  // What was known of the host counts no more, a revocation included: until it is asked, it is unknown.
  // Nor does evidence that was asked for before `now`.
  void forget(const std::string& host, const std::string& cause, SteadyTime now);
  // Trust in evidence that was asked for longer ago than `limit` has become stale.
  void age(SteadyTime now, std::chrono::seconds limit);

  [[nodiscard]] std::optional<HostVerdict> get(const std::string& host, SteadyTime now) const;
  [[nodiscard]] std::vector<HostVerdict> list(SteadyTime now) const;
  [[nodiscard]] std::uint64_t last() const;
  AttestationChanges next(const NextVerdicts& request);

 private:
  struct Known {
    Verdict verdict = Verdict::unknown;
    std::string cause;
    UnixSeconds since;
    UnixSeconds checked;
    SteadyTime asked;
    bool revoked = false;
    bool fresh = true;  // nothing was ever found out
  };
  using Change = std::optional<AttestationChange>;

  static HostVerdict answer(const std::string& host, const Known& known, SteadyTime now);
  // Under the lock. None where the verdict is the same as before.
  Change change(const std::string& host, Known& known, Verdict verdict, const std::string& cause);
  void audit(const Change& change);

  Journal& journal_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Known> hosts_;
  std::deque<AttestationChange> changes_;
  std::uint64_t last_ = 0;
};

}  // namespace vmsec::boot
