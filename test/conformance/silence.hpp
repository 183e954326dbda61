// No call silently does nothing: each method of each capability has a proof, something
// that can be seen afterwards only where the call did its work.
//
// A proof is itself put to the test. It is run first with the method muted, which is what
// a lazy backend would do: it answers success and does nothing. There the proof must fail.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fixture.hpp"
#include "suite.hpp"

namespace vmsec::conformance {

// Calls of the migration module go to the backend directly and cannot be muted: their
// proof is a domain that has moved.
enum class Caller { suite, module };

struct Proof {
  std::string_view method;
  std::function<Outcome(Fixture&)> run;
  Caller caller = Caller::suite;
};

inline Outcome proven(Fixture& fixture, std::string_view interface, const Proof& proof) {
  const std::string call = std::string(interface) + "." + std::string(proof.method);
  if (proof.caller == Caller::suite) {
    fixture.mute(call);
    const Outcome silent = proof.run(fixture);
    fixture.mute("");
    if (silent.verdict == Verdict::passed) return failed(call + ": muted, it was not found out");
  }
  Outcome outcome = proof.run(fixture);
  if (outcome.verdict == Verdict::failed) outcome.detail = call + ": " + outcome.detail;
  return outcome;
}

// Each method of I has a proof here, and each proof, in this order, holds or is
// `unsupported` with its reason.
template <class I>
Outcome every_call(Fixture& fixture, const std::vector<Proof>& proofs) {
  std::string missing;
  for_each_method<I>([&](const auto& method) {
    const auto mine = [&](const Proof& proof) { return proof.method == method.name; };
    if (std::ranges::none_of(proofs, mine)) missing = method.name;
  });
  if (!missing.empty()) return failed(missing + ": no proof that it does anything");
  for (const Proof& proof : proofs) {
    const Outcome outcome = proven(fixture, Methods<I>::kName, proof);
    if (outcome.verdict == Verdict::failed) return outcome;
  }
  return passed(std::to_string(std::tuple_size_v<decltype(Methods<I>::table())>) + " calls");
}

Outcome migration_calls_act(Fixture& fixture);
Outcome interchange_calls_act(Fixture& fixture);

}  // namespace vmsec::conformance
