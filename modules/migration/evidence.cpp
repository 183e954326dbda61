#include "evidence.hpp"

#include "vmsec/service/attestation.hpp"
#include "vmsec/units.hpp"

namespace vmsec::migration {
namespace {

constexpr std::uint32_t kAttest = 1;  // Methods<Attestation>

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
  auto answer = ask();
  const std::lock_guard lock(mutex_);
  if (!answer) {
    text_ = answer.error().message;
    // Whoever merely did not answer this time is not refuted: age will tell.
    if (answer.error().code == Code::untrusted) refuted_ = answer.error();
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

void Evidence::run() {
  const auto period = context_.policy.attestation_max_age / 2;
  const auto shortest = context_.policy.attestation_max_age / 6;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, hurry_ ? shortest : period, [&] { return stopping_ || hurry_; });
    if (stopping_) return;
    const bool young = proven_ && Clock::now() - *proven_ < shortest;
    hurry_ = false;
    if (young) continue;
    lock.unlock();
    if (auto renewed = obtain(); !renewed)
      context_.log(LogLevel::warning, "renew the evidence: " + renewed.error().message);
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
