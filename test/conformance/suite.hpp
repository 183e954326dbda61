// Checks with names, run in order against two hosts of one plugin, and their table.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::conformance {

class Fixture;

enum class Verdict { passed, failed, unsupported };

struct Outcome {
  Verdict verdict = Verdict::passed;
  std::string detail;  // a figure, the reason of an `unsupported`, or what was wrong
};

inline Outcome passed(std::string detail = {}) { return {Verdict::passed, std::move(detail)}; }
inline Outcome failed(std::string detail) { return {Verdict::failed, std::move(detail)}; }
// An `unsupported` answer is a good one when it says why; any other error is a failure.
Outcome from_error(const Error& error);
// The call must fail with this code, and a message.
Outcome expect_code(Code wanted, const Error* error);

template <class T>
Outcome expect(Code wanted, const Result<T>& result) {
  return expect_code(wanted, result ? nullptr : &result.error());
}

struct Check {
  std::string capability;
  std::string claim;
  std::function<Outcome(Fixture&)> run;
};

using Checks = std::vector<Check>;
void add_domain_control(Checks&);
void add_resource_control(Checks&);
void add_io_control(Checks&);
void add_memory_access(Checks&);
void add_events(Checks&);
void add_boot_evidence(Checks&);
void add_migration(Checks&);
void add_interchange(Checks&);
void add_sessions(Checks&);
void add_modules(Checks&);
void add_vcpus(Checks&);    // late: a hypervisor may not take back what it has given
void add_silence(Checks&);  // last: it uses up the traveller

}  // namespace vmsec::conformance

// Within a check: an error ends it, as failed or as unsupported.
#define CONFORMANCE_TRY(declaration, expression) \
  CONFORMANCE_TRY_(VMSEC_CONCAT(conformance_result_, __LINE__), declaration, expression)
#define CONFORMANCE_TRY_(result, declaration, expression)             \
  auto result = (expression);                                         \
  if (!result) return vmsec::conformance::from_error(result.error()); \
  declaration = std::move(*result)
#define CONFORMANCE_CHECK(expression)                                                                  \
  do {                                                                                                 \
    if (auto status_ = (expression); !status_) return vmsec::conformance::from_error(status_.error()); \
  } while (false)
#define CONFORMANCE_EXPECT(condition, detail)                    \
  do {                                                           \
    if (!(condition)) return vmsec::conformance::failed(detail); \
  } while (false)
