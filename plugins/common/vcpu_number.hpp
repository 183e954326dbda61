// Whether a domain can be given a number of vCPUs: the same words on every hypervisor.
#pragma once

#include <cstdint>
#include <string>

#include "vmsec/result.hpp"

namespace vmsec::common {

// `invalid_argument` for none, `limit_exceeded` beyond the maximum. The message begins with `operation`.
inline Status check_vcpus(std::uint32_t wanted, std::uint32_t maximum, const std::string& operation) {
  if (wanted == 0) return fail(Code::invalid_argument, operation + ": a domain has one vCPU at least");
  if (wanted <= maximum) return {};
  return fail(Code::limit_exceeded, operation + ": " + std::to_string(wanted) +
                                        " vCPUs exceed the domain's maximum of " + std::to_string(maximum) +
                                        ", which is set in its configuration");
}

}  // namespace vmsec::common
