#include "evidence.hpp"

#include <algorithm>

#include "vmsec/service/attestation.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

constexpr std::uint32_t kAttest = 1;  // Methods<Attestation>
constexpr auto kHearing = std::chrono::milliseconds(500);

// A host that does not answer is not an untrusted one; neither receives a guest.
Code code_of(Verdict verdict) {
  if (verdict == Verdict::unreachable) return Code::unavailable;
  return verdict == Verdict::stale ? Code::expired : Code::untrusted;
}

}  // namespace

Result<std::string> Evidence::ask() const {
  const std::string what = "attest " + peer_.peer;
  const AttestHost request{{}, peer_.connection};
  auto reply = context_.services.modules->call(
      {std::string(Methods<Attestation>::kName), kAttest, wire::encode(request), peer_.connection});
  if (!reply) return fail(reply.error().in(what));
  auto report = wire::decode<AttestationReport>(reply->payload);
  if (!report) return fail(report.error().in(what));
  if (report->host != peer_.peer)
    return fail(Code::untrusted, what + ": the report is about " + units::quoted(report->host));
  if (report->verdict != Verdict::trusted)
    return fail(code_of(report->verdict), what + ": " + std::string(to_string(report->verdict)) + ": " + report->cause);
  return peer_.peer + ": trusted";
}

Status Evidence::obtain() {
  if (context_.policy.attestation == AttestationPolicy::none) {
    const std::lock_guard lock(mutex_);
    text_ = "nobody: this host's configuration asks for no attestation";
    return {};
  }
  const auto asked = Clock::now();  // before the quote: its age is never underestimated
  // First: what is found out while it is asked is heard, too.
  const Status listens = changes_.begin();
  auto answer = listens ? ask() : Result<std::string>(fail(listens.error().in("attest " + peer_.peer)));
  const std::lock_guard lock(mutex_);
  tried_ = asked;
  if (!answer) {
    text_ = answer.error().message;
    // Whoever merely did not answer this time is not refuted: age will tell.
    if (family(answer.error().code) == Family::security) refuted_ = answer.error();
    return fail(answer.error());
  }
  proven_ = asked;
  text_ = *answer;
  return {};
}

void Evidence::keep() {
  if (context_.policy.attestation == AttestationPolicy::none || thread_.joinable()) return;
  thread_ = std::thread(&Evidence::run, this);
}

Status Evidence::refute(const AttestationChange& change) {
  const Error cause{
      code_of(change.after),
      "host " + peer_.peer + " is not trusted any more: " + std::string(to_string(change.after)) + ": " + change.cause,
      0,
      {}};
  const std::lock_guard lock(mutex_);
  if (!refuted_) refuted_ = cause;
  text_ = cause.message;
  return fail(cause);
}

Status Evidence::hear() {
  if (context_.policy.attestation == AttestationPolicy::none) return {};
  VMSEC_TRY(const VerdictChanges::Heard heard, changes_.hear());
  if (heard.refuted) return refute(*heard.refuted);
  if (heard.doubtful) return obtain();
  return {};
}

Clock::time_point Evidence::next_renewal() const {
  const auto allowed = context_.policy.attestation_max_age;
  const bool proven = proven_ && *proven_ == tried_;
  return tried_ + (proven && !hurry_ ? allowed / 2 : allowed / 6);
}

void Evidence::renew() {
  const Status renewed = obtain();
  if (renewed) return;
  context_.log(LogLevel::warning, "renew the evidence: " + renewed.error().message);
  const std::lock_guard lock(mutex_);
  if (refuted_ || (proven_ && Clock::now() - *proven_ <= context_.policy.attestation_max_age)) return;
  refuted_ = renewed.error();
}

void Evidence::run() {
  bool told = false;  // that nothing can be heard
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::min(next_renewal() - Clock::now(), Clock::duration(kHearing));
    wake_.wait_for(lock, next, [&] { return stopping_ || hurry_; });
    if (stopping_) return;
    const bool due = Clock::now() >= next_renewal();
    hurry_ = false;
    lock.unlock();
    if (const Status heard = hear(); !heard && !std::exchange(told, true))
      context_.log(LogLevel::warning, heard.error().message);
    if (due) renew();
    lock.lock();
  }
}

void Evidence::hurry() {
  const std::lock_guard lock(mutex_);
  if (proven_ && Clock::now() - *proven_ < context_.policy.attestation_max_age / 6) return;
  hurry_ = true;
  wake_.notify_all();
}

void Evidence::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

std::optional<Error> Evidence::refuted() const {
  const std::lock_guard lock(mutex_);
  return refuted_;
}

Status Evidence::fresh() const {
  const std::lock_guard lock(mutex_);
  if (context_.policy.attestation == AttestationPolicy::none) return {};
  if (refuted_) return fail(*refuted_);
  if (proven_ && Clock::now() - *proven_ <= context_.policy.attestation_max_age) return {};
  return fail(Code::expired,
              "switch over to " + peer_.peer + ": its evidence is older than the policy's " +
                  units::print(units::kTime, static_cast<std::uint64_t>(context_.policy.attestation_max_age.count())));
}

std::string Evidence::text() const {
  const std::lock_guard lock(mutex_);
  return text_;
}

}  // namespace vmsec::migration
