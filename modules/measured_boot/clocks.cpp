#include "clocks.hpp"

#include <tuple>

namespace vmsec::boot {
namespace {

constexpr std::uint64_t kWriteEveryMs = 60'000;

std::unexpected<Error> went_back(std::string_view what, std::uint64_t is, std::uint64_t was) {
  return fail(Code::untrusted, "the TPM's " + std::string(what) + " went back from " + std::to_string(was) + " to " +
                                   std::to_string(is) + ": an older state of it was restored, or it was cloned");
}

// TPM 2.0 part 1, 36: a reset counts and starts the restarts anew; a restart or resume counts, the clock runs on.
// Over a reset the clock says nothing: after a loss of power it may be behind, and libtpms writes it down only together
// with other state, so that it is behind by any time there although it calls itself safe.
Status check_order(const SeenClock& seen, const Quote& quote) {
  if (quote.reset_count < seen.reset_count) return went_back("reset counter", quote.reset_count, seen.reset_count);
  if (quote.reset_count > seen.reset_count) return {};
  if (quote.restart_count < seen.restart_count)
    return went_back("restart counter", quote.restart_count, seen.restart_count);
  if (quote.clock < seen.clock) return went_back("clock (ms)", quote.clock, seen.clock);
  return {};
}

bool is_newer(const SeenClock& a, const SeenClock& b) {
  return std::tie(a.reset_count, a.restart_count, a.clock) > std::tie(b.reset_count, b.restart_count, b.clock);
}

}  // namespace

Result<std::optional<Clocks::Known>> Clocks::known(const std::string& host, const TpmPublic& key) {
  const auto found = known_.find(host);
  if (found != known_.end() && found->second.seen.attestation_key == key.name_digest) return found->second;
  const auto record = records_.get({record_of(host)});
  if (!record && record.error().code == Code::not_found) return std::nullopt;
  if (!record) return fail(record.error());
  auto seen = wire::decode<SeenClock>(record->value);
  if (!seen) return fail(seen.error().in("record " + record_of(host)));
  if (seen->host != host) return fail(Code::tampered, "record " + record_of(host) + " is of another host");
  // Of the key before this one.
  if (seen->attestation_key != key.name_digest) return std::nullopt;
  const auto clock = seen->clock;
  return Known{std::move(*seen), clock};
}

Status Clocks::keep(const std::string& host, SeenClock seen, const std::optional<Known>& before) {
  const bool write = !before || seen.reset_count != before->seen.reset_count ||
                     seen.restart_count != before->seen.restart_count || seen.clock - before->written >= kWriteEveryMs;
  const auto written = write ? seen.clock : before->written;
  if (write) VMSEC_CHECK(records_.put({record_of(host), wire::encode(seen)}));
  known_[host] = {std::move(seen), written};
  return {};
}

Result<std::optional<SeenClock>> Clocks::seen(const std::string& host, const TpmPublic& key) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto found, known(host, key));
  if (!found) return std::nullopt;
  return found->seen;
}

Result<std::uint32_t> Clocks::check(const std::string& host, const TpmPublic& key, const Quote& quote,
                                    const std::optional<SeenClock>& before) {
  if (before) VMSEC_CHECK(check_order(*before, quote));
  SeenClock seen{host, key.name_digest, quote.reset_count, quote.restart_count, quote.clock};
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(const auto now, known(host, key));
  if (!now || !is_newer(now->seen, seen)) VMSEC_CHECK(keep(host, std::move(seen), now));
  return before ? quote.reset_count - before->reset_count : 0;
}

Status Clocks::judge(const std::string& host, const Evidence& evidence, const TpmPublic& key, const QuoteDemand& demand,
                     const std::optional<SeenClock>& before, AttestationReport& report) {
  const bool trusted = report.verdict == Verdict::trusted;  // its quote was verified then
  const auto quote =
      trusted ? parse_quote(evidence.attest) : verify_quote(key, evidence.attest, evidence.signature, demand);
  if (!quote) return {};
  const auto resets = check(host, key, *quote, before);
  if (!resets && resets.error().code != Code::untrusted) return fail(resets.error());
  if (resets) {
    report.resets_since = *resets;
  } else if (trusted) {
    report.verdict = Verdict::untrusted;
    report.cause = resets.error().message;
  }
  return {};
}

Status Clocks::forget(const std::string& host) {
  const std::lock_guard lock(mutex_);
  VMSEC_CHECK(records_.remove({record_of(host)}));
  known_.erase(host);
  return {};
}

}  // namespace vmsec::boot
