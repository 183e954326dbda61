#include "suite.hpp"

namespace vmsec::conformance {

Outcome from_error(const Error& error) {
  if (error.code == Code::unsupported && !error.message.empty()) return {Verdict::unsupported, error.message};
  return failed(std::string(to_string(error.code)) + ": " + error.message);
}

Outcome expect_code(Code wanted, const Error* error) {
  if (error == nullptr) return failed("succeeded; wanted " + std::string(to_string(wanted)));
  if (error->code == Code::unsupported && wanted != Code::unsupported) return {Verdict::unsupported, error->message};
  if (error->code != wanted)
    return failed("answered " + std::string(to_string(error->code)) + " (" + error->message + "); wanted " +
                  std::string(to_string(wanted)));
  if (error->message.empty()) return failed("an error without a message");
  return passed();
}

}  // namespace vmsec::conformance
