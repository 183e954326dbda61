// Making a domain of a definition: libxl knows none that is defined and not built, so it is built, and left paused.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "context.hpp"
#include "domain.hpp"

namespace vmsec::xen {

// The domains that are being built by this process: no two of one UUID, and no two of one name. Thread-safe.
class Reservations {
 public:
  // Given back when it is dropped; null where another has the UUID or the name.
  std::shared_ptr<void> reserve(const Uuid& domain, const std::string& name);

 private:
  struct State {
    std::mutex mutex;
    std::set<std::string> taken;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

struct Plan {
  Uuid domain;
  std::string name;
  Bytes memory;
  std::string json;  // libxl's, for this host
  std::shared_ptr<void> reservation;
};

// `already_exists` for a UUID or a name that Xen has in any pool, or that a migration brings; `limit_exceeded` where it
// does not fit. After a failure there is no such domain; one that libxl has not built in time is taken down as soon as
// it has.
Status build_domain(const std::shared_ptr<Context>& context, const Plan& plan, const std::string& operation);

// `wrong_state` for any domain but one that build_domain() made and that has not run since: its memory holds nothing
// that is not in its files.
Status require_never_ran(Libxl& libxl, const Seen& seen, const std::string& operation);
// The same, or one that has ended by itself: `wrong_state` for any whose memory could be lost.
Status require_forgettable(Libxl& libxl, const Seen& seen, const std::string& operation);
// For who lets it run: paused again before it has had any CPU time, it has run all the same.
void forget_mark(Libxl& libxl, const Seen& seen);

}  // namespace vmsec::xen
