// Hosts that an operator does not trust, whatever they show.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "messages.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::boot {

// Any thread. Borrows the records.
class Revocations {
 public:
  explicit Revocations(Records& records) : records_(records) {}

  // Why nobody trusts the host; none: it is not revoked. A record that cannot be read is one.
  Result<std::optional<std::string>> cause(const std::string& host);
  Result<std::vector<std::string>> hosts();
  Status put(const RevokedHost& revoked);
  Status remove(const std::string& host);

 private:
  Records& records_;
};

}  // namespace vmsec::boot
