// What others find out about the destination while a migration is under way: the module
// that attests watches hosts, answers other callers, and hears of revocations.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include "context.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::migration {

// Any thread.
class VerdictChanges {
 public:
  VerdictChanges(const Context& context, std::string host) : context_(context), host_(std::move(host)) {}

  // From now on. A module that cannot tell of changes is none to wait for.
  Status begin();

  struct Heard {
    std::optional<AttestationChange> refuted;  // it became untrusted, or stale
    bool doubtful = false;  // it could not be reached, nobody can tell, or something was missed: ask it
  };
  // What has changed since the last call. Does not wait.
  Result<Heard> hear();

 private:
  Result<AttestationChanges> ask(std::uint64_t after) const;

  const Context& context_;
  const std::string host_;
  std::mutex mutex_;
  std::optional<std::uint64_t> after_;
};

}  // namespace vmsec::migration
