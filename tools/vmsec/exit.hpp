// How a command ends: the exit codes that docs/cli.md promises.
#pragma once

#include <expected>
#include <string>

#include "vmsec/result.hpp"

namespace vmsec::cli {

enum class Exit : int {
  ok = 0,
  environment = 1,  // may work when tried again, or once something is put right here
  mistake = 2,      // the caller's: usage, an unknown VM, a policy with findings
  refused = 3,      // for security: denied, untrusted, tampered, expired
  in_doubt = 4,     // a migration that must be resolved
  different = 5,    // `policy diff` or `attest diff` found something
  critical = 6,     // `inspect` found something critical
};

inline Exit exit_of(Code code) {
  if (code == Code::in_doubt) return Exit::in_doubt;
  switch (family(code)) {
    case Family::none:
      return Exit::ok;
    case Family::caller:
      return Exit::mistake;
    case Family::environment:
      return Exit::environment;
    case Family::security:
      return Exit::refused;
  }
  return Exit::environment;
}

// An Error, and what to do next where that is known.
struct Failure {
  Failure(Error cause) : error(std::move(cause)) {}  // NOLINT: an Error is a Failure
  Failure(Error cause, std::string advice) : error(std::move(cause)), next(std::move(advice)) {}
  Error error;
  std::string next;
};

using Ending = std::expected<Exit, Failure>;

[[nodiscard]] inline std::unexpected<Failure> fail_with(Error error, std::string next) {
  return std::unexpected(Failure(std::move(error), std::move(next)));
}
[[nodiscard]] inline std::unexpected<Failure> usage_error(std::string message) {
  return std::unexpected(Failure(Error{Code::invalid_argument, std::move(message), 0, {}}));
}

}  // namespace vmsec::cli
