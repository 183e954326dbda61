#include "host/grant_state.hpp"

#include <algorithm>
#include <set>

#include "identity/openssl.hpp"
#include "vmsec/policy.hpp"

namespace vmsec::host {
namespace {

using Limits = GrantStateLimits;

bool steers(unsigned char c) { return c < 0x20 || c == 0x7f; }

Status check_text(const std::string& what, const std::string& text, std::size_t longest) {
  if (text.empty()) return fail(Code::invalid_argument, what + " is missing");
  if (text.size() > longest)
    return fail(Code::invalid_argument,
                what + " has " + std::to_string(text.size()) + " bytes: at most " + std::to_string(longest));
  if (std::ranges::any_of(text, steers)) return fail(Code::invalid_argument, what + " has a control character");
  return {};
}

Status check_interfaces(const std::vector<std::string>& interfaces) {
  std::set<std::string_view> seen;
  for (const std::string& each : interfaces) {
    if (std::ranges::find(kGrantableInterfaces, each) == kGrantableInterfaces.end())
      return fail(Code::invalid_argument,
                  "interface \"" + each.substr(0, Limits::kName) + "\" is none that can be granted");
    if (!seen.insert(each).second) return fail(Code::invalid_argument, each + " is listed twice");
  }
  return {};
}

std::unexpected<Error> tampered(const std::string& cause) { return fail(Code::tampered, "read grants: " + cause); }

Status check_all(const GrantState& state) {
  if (state.withdrawals.size() > Limits::kWithdrawals || state.choices.size() > Limits::kChoices)
    return fail(Code::limit_exceeded, "more withdrawals or choices than a host keeps");
  std::uint64_t before = 0;
  for (const Withdrawal& each : state.withdrawals) {
    VMSEC_CHECK(check_withdrawal(each));
    if (each.id <= before || each.id > state.last_id || !each.domains.empty() || each.keeps_memory)
      return fail(Code::invalid_argument, "withdrawal " + std::to_string(each.id) + " is not in its place");
    before = each.id;
  }
  std::set<std::pair<Uuid, std::string>> seen;
  for (const TenantChoice& each : state.choices) {
    VMSEC_CHECK(check_choice(each));
    if (!seen.emplace(each.domain, each.module).second)
      return fail(Code::invalid_argument, "a choice of \"" + each.module + "\" is there twice");
  }
  return {};
}

std::string head_of(std::string_view body) { return "vmsec-grants 1 " + identity::hex(identity::sha256(body)) + "\n"; }

}  // namespace

Status check_withdrawal(const Withdrawal& withdrawal) {
  VMSEC_CHECK(check_text("the module", withdrawal.module, Limits::kName));
  if (withdrawal.vm.empty() == withdrawal.tag.empty())
    return fail(Code::invalid_argument, "which VMs: want a name pattern or a tag");
  VMSEC_CHECK(check_text("the pattern", withdrawal.vm + withdrawal.tag, Limits::kName));
  VMSEC_CHECK(check_interfaces(withdrawal.interfaces));
  VMSEC_CHECK(check_text("the reason", withdrawal.reason, Limits::kText));
  return check_text("who asks", withdrawal.by, Limits::kText);
}

Status check_choice(const TenantChoice& choice) {
  VMSEC_CHECK(check_text("the tenant", choice.tenant, Limits::kName));
  VMSEC_CHECK(check_text("the module", choice.module, Limits::kName));
  if (choice.domain.is_nil()) return fail(Code::invalid_argument, "the VM is missing");
  return check_text("who asks", choice.by, Limits::kText);
}

std::string format_grant_state(const GrantState& state) {
  const std::string body = wire::encode(state);
  return head_of(body) + body;
}

Result<GrantState> parse_grant_state(std::string_view file) {
  const auto end = file.find('\n');
  if (end == std::string_view::npos) return tampered("its first line is missing");
  const std::string_view body = file.substr(end + 1);
  if (file.substr(0, end + 1) != head_of(body)) return tampered("its first line is not that of what follows");
  return decode_grant_state(body);
}

Result<GrantState> decode_grant_state(std::string_view body) {
  auto state = wire::decode<GrantState>(body);
  if (!state) return tampered(state.error().message);
  if (const Status good = check_all(*state); !good) return tampered(good.error().message);
  if (wire::encode(*state) != body) return tampered("it has what no writer of this version writes");
  return state;
}

}  // namespace vmsec::host
