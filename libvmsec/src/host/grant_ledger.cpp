#include "host/grant_ledger.hpp"

#include "identity/files.hpp"

namespace vmsec::host {

Status GrantLedger::keep_in(std::filesystem::path file) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
  const auto bytes = identity::read_file(file_, GrantStateLimits::kFile);
  if (!bytes && bytes.error().code == Code::not_found) return {};
  if (!bytes) return fail(bytes.error());
  auto state = parse_grant_state(*bytes);
  if (!state) return fail(state.error().in(file_.string()));
  grants_.stand(std::move(*state));
  return {};
}

Status GrantLedger::take(const Change& change) {
  const std::lock_guard lock(mutex_);
  GrantState state = *grants_.standing();
  VMSEC_CHECK(change(state));
  grants_.stand(state);
  return write(state);
}

Status GrantLedger::give(const Change& change, const std::function<Status()>& recorded) {
  const std::lock_guard lock(mutex_);
  GrantState state = *grants_.standing();
  VMSEC_CHECK(change(state));
  VMSEC_CHECK(recorded());
  VMSEC_CHECK(write(state));
  grants_.stand(std::move(state));
  return {};
}

Status GrantLedger::write(const GrantState& state) const {
  if (file_.empty()) return {};
  return identity::replace_file(file_, format_grant_state(state), 0600);
}

}  // namespace vmsec::host
