// The asking side's memory: verdicts, their changes, revocations.
#include <tuple>

#include "evidence/bytes.hpp"
#include "verifier.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kLongestReason = 256;

Status check_reason(const RevokeHost& request) {
  const std::string what = "revoke host " + request.host;
  if (request.reason.empty()) return fail(Code::invalid_argument, what + ": give a reason");
  if (request.reason.size() > kLongestReason)
    return fail(Code::invalid_argument, what + ": a reason of " + std::to_string(request.reason.size()) +
                                            " bytes, at most " + std::to_string(kLongestReason) + " are allowed");
  return {};
}

std::string told_by(const RevokeHost& request) {
  const std::string by = request.by.empty() ? "an operator" : printable(request.by, 128);
  return printable(request.reason) + "; by " + by;
}

}  // namespace

Status Verifier::load() {
  VMSEC_TRY(const auto hosts, enrolments_.hosts());
  for (const auto& host : hosts) {
    verdicts_.admit(host);
    watch_.add(host);
  }
  VMSEC_TRY(const auto revoked, revocations_.hosts());
  for (const auto& host : revoked) {
    VMSEC_TRY(const auto cause, revocations_.cause(host));
    verdicts_.revoke(host, cause.value_or("revoked by an operator"));
  }
  return {};
}

Result<AttestationReport> Verifier::attest_noted(const AttestHost& request) {
  const SteadyTime asked = clock_();
  VMSEC_TRY(const auto revoked, revoked_report(request.host));
  if (revoked) return *revoked;
  auto report = attest_peer(request);
  // What is said of a connection that was not asked for by its host's name alone is not about that host.
  const bool about_host = request.connection == 0 || request.host.empty();
  if (!report) {
    // Who cannot be attested is not known to be anything.
    if (about_host) verdicts_.note(request.host, {Verdict::unknown, report.error().message, asked});
    return report;
  }
  // While it was asked, perhaps.
  VMSEC_TRY(const auto meanwhile, revoked_report(report->host));
  if (meanwhile) return *meanwhile;
  // That a connection has ended says nothing about the host at its other end.
  const bool ended = request.connection != 0 && report->verdict == Verdict::unreachable;
  if (about_host && !ended) verdicts_.note(report->host, {report->verdict, report->cause, asked});
  return report;
}

// Changes are audited; that a host is still down is not, each time.
void Verifier::visit(const std::string& host) { static_cast<void>(attest_noted({host, 0})); }

// Who was due twice and was not attested is not known to be trusted any more.
void Verifier::sweep(SteadyTime now) {
  if (config_.watch.count() > 0) verdicts_.age(now, 2 * config_.watch + config_.max_age);
}

Result<HostVerdict> Verifier::verdict_on(const std::string& host) const {
  if (auto known = verdicts_.get(host, clock_())) return *std::move(known);
  return fail(Code::not_found, "host " + printable(host, 128) + " is not enrolled");
}

Result<VerdictList> Verifier::status(const VerdictQuery& request) {
  const SteadyTime now = clock_();
  sweep(now);
  VerdictList list;
  list.last = verdicts_.last();  // first: what changes meanwhile is told again by next()
  list.watch_seconds = static_cast<std::uint64_t>(config_.watch.count());
  if (request.host.empty()) {
    list.hosts = verdicts_.list(now);
    return list;
  }
  VMSEC_TRY(auto one, verdict_on(request.host));
  list.hosts.push_back(std::move(one));
  return list;
}

Result<AttestationChanges> Verifier::next(const NextVerdicts& request) {
  sweep(clock_());
  return verdicts_.next(request);
}

Result<HostVerdict> Verifier::revoke(const RevokeHost& request) {
  auto done = request.undo ? reinstate(request) : revoke_now(request);
  if (!done) record("measured_boot.revoke", Outcome::failed, request.host, done.error().message);
  return done;
}

// In force first: that it could not be written into the audit log does not keep a host trusted.
Result<HostVerdict> Verifier::revoke_now(const RevokeHost& request) {
  VMSEC_CHECK(check_host_name(request.host));
  VMSEC_CHECK(check_reason(request));
  const std::lock_guard lock(standing_);
  VMSEC_TRY(std::ignore, verdict_on(request.host));
  VMSEC_CHECK(revocations_.put({request.host, request.reason, request.by, now()}));
  verdicts_.revoke(request.host, "revoked by an operator: " + printable(request.reason));
  links_.close(request.host);
  const auto written = journal_.audit({"measured_boot.revoke", Outcome::succeeded, {}, request.host, told_by(request)});
  if (!written) return fail(written.error().in("revoke host " + request.host + ": done, but it is not recorded"));
  return verdict_on(request.host);
}

// On record first: a host that no record tells to be trusted again stays revoked.
Result<HostVerdict> Verifier::reinstate(const RevokeHost& request) {
  VMSEC_CHECK(check_host_name(request.host));
  VMSEC_CHECK(check_reason(request));
  const std::lock_guard lock(standing_);
  VMSEC_TRY(const auto cause, revocations_.cause(request.host));
  if (!cause) return fail(Code::wrong_state, "reinstate host " + request.host + ": it is not revoked");
  VMSEC_CHECK(journal_.audit(
      {"measured_boot.reinstate", Outcome::succeeded, {}, request.host, told_by(request) + "; it was " + *cause}));
  VMSEC_CHECK(revocations_.remove(request.host));
  verdicts_.forget(request.host, "reinstated, not attested since", clock_());
  watch_.add_now(request.host);
  return verdict_on(request.host);
}

Status Verifier::check_not_revoked(const EnrolHost& request, const std::optional<std::string>& before) {
  VMSEC_TRY(const auto cause, revocations_.cause(request.host));
  if (!cause || (request.replace && cause == before)) return {};
  if (request.replace) return fail(Code::revoked, "enrol host " + request.host + ": meanwhile it was " + *cause);
  return fail(Code::revoked,
              "enrol host " + request.host + ": it is " + *cause + "; only with \"replace\" is it enrolled anew");
}

Status Verifier::note_enrolled(const EnrolHost& request) {
  verdicts_.admit(request.host);
  VMSEC_TRY(const auto cause, revocations_.cause(request.host));
  if (cause) {
    VMSEC_CHECK(journal_.audit(
        {"measured_boot.reinstate", Outcome::succeeded, {}, request.host, "enrolled anew; it was " + *cause}));
    VMSEC_CHECK(revocations_.remove(request.host));
  }
  // What was known of it was about its former keys.
  if (request.replace) verdicts_.forget(request.host, "enrolled anew, not attested since", clock_());
  watch_.add_now(request.host);
  return {};
}

}  // namespace vmsec::boot
