// What stands over restarts and policies: withdrawn grants, and tenants' choices.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"
#include "vmsec/service/grants.hpp"

namespace vmsec::host {

struct GrantStateLimits {
  static constexpr std::size_t kWithdrawals = 1000;
  static constexpr std::size_t kChoices = 20'000;
  static constexpr std::size_t kName = 128;  // of modules, tenants, patterns, tags
  static constexpr std::size_t kText = 500;  // of reasons, and of who asked
  static constexpr std::size_t kFile = 32 << 20;
};

struct GrantState {
  std::uint64_t last_id = 0;  // of all withdrawals that ever were
  std::vector<Withdrawal> withdrawals;
  std::vector<TenantChoice> choices;
  static constexpr std::string_view kMessage = "vmsec.host.GrantState";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "last_id", &GrantState::last_id),
                        wire::field(2, "withdrawals", &GrantState::withdrawals),
                        wire::field(3, "choices", &GrantState::choices));
  }
};

// Each says what is wrong: `invalid_argument`, also for too much of it.
VMSEC_EXPORT Status check_withdrawal(const Withdrawal& withdrawal);
VMSEC_EXPORT Status check_choice(const TenantChoice& choice);

// A file's bytes: a line with version and SHA-256, then the state.
VMSEC_EXPORT std::string format_grant_state(const GrantState& state);
// `tampered` for whatever format_grant_state() does not write: what stands shall
// not shrink because a file was cut or turned.
VMSEC_EXPORT Result<GrantState> parse_grant_state(std::string_view file);
// The same of the bytes behind the first line.
VMSEC_EXPORT Result<GrantState> decode_grant_state(std::string_view body);

}  // namespace vmsec::host
