#include "verdict_changes.hpp"

namespace vmsec::migration {
namespace {

constexpr std::uint32_t kNext = 5;  // Methods<Attestation>
constexpr std::uint32_t kAtOnce = 1000;

}  // namespace

Result<AttestationChanges> VerdictChanges::ask(std::uint64_t after) const {
  const std::string what = "ask for changes of the verdict on " + host_;
  auto reply = context_.services.modules->call(
      {std::string(Methods<Attestation>::kName), kNext, wire::encode(NextVerdicts{after, {}, kAtOnce}), 0});
  if (!reply) return fail(reply.error().in(what));
  auto changes = wire::decode<AttestationChanges>(reply->payload);
  if (!changes) return fail(changes.error().in(what));
  return changes;
}

Status VerdictChanges::begin() {
  const std::lock_guard lock(mutex_);
  if (after_) return {};
  const auto now = ask(~std::uint64_t{0});
  if (!now && now.error().code == Code::unsupported) return {};
  if (!now) return fail(now.error());
  after_ = now->last;
  return {};
}

Result<VerdictChanges::Heard> VerdictChanges::hear() {
  const std::lock_guard lock(mutex_);
  Heard heard;
  if (!after_) return heard;
  VMSEC_TRY(const AttestationChanges changes, ask(*after_));
  // A module that has begun anew has forgotten what it would have told.
  heard.doubtful = changes.missed > 0 || changes.last < *after_;
  for (const AttestationChange& change : changes.changes) {
    if (change.host != host_ || change.after == Verdict::trusted) continue;
    if (change.after == Verdict::untrusted || change.after == Verdict::stale)
      heard.refuted = change;
    else
      heard.doubtful = true;
  }
  after_ = changes.changes.empty() ? changes.last : changes.changes.back().sequence;
  return heard;
}

}  // namespace vmsec::migration
