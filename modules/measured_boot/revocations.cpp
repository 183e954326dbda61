#include "revocations.hpp"

#include "evidence/bytes.hpp"

namespace vmsec::boot {
namespace {

constexpr std::string_view kRevokedPrefix = "revoked.";

std::string revoked_record_of(const std::string& host) { return std::string(kRevokedPrefix) + host; }

}  // namespace

Result<std::optional<std::string>> Revocations::cause(const std::string& host) {
  const auto record = records_.get({revoked_record_of(host)});
  if (!record && record.error().code == Code::not_found) return std::nullopt;
  if (!record) return fail(record.error().in("look whether host " + host + " is revoked"));
  const auto revoked = wire::decode<RevokedHost>(record->value);
  if (!revoked) return "revoked by an operator: the record " + record->key + " is damaged";
  return "revoked by an operator: " + printable(revoked->reason);
}

Result<std::vector<std::string>> Revocations::hosts() {
  VMSEC_TRY(const auto list, records_.list({std::string(kRevokedPrefix)}));
  std::vector<std::string> out;
  for (const auto& record : list.records) out.push_back(record.key.substr(kRevokedPrefix.size()));
  return out;
}

Status Revocations::put(const RevokedHost& revoked) {
  VMSEC_CHECK(records_.put({revoked_record_of(revoked.host), wire::encode(revoked)}));
  return {};
}

Status Revocations::remove(const std::string& host) {
  VMSEC_CHECK(records_.remove({revoked_record_of(host)}));
  return {};
}

}  // namespace vmsec::boot
