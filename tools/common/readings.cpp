#include "readings.hpp"

namespace vmsec::tools {
namespace {

// What is not there is no trouble, and neither is a VM that has ended since the list was made.
template <class T>
Status keep(Result<T> answer, std::optional<T>& into, std::optional<Error>& trouble) {
  if (answer) {
    into = std::move(*answer);
    return {};
  }
  const Code code = answer.error().code;
  if (code == Code::unavailable) return fail(answer.error());
  if (code == Code::unsupported || code == Code::not_found || code == Code::wrong_state) return {};
  if (!trouble) trouble = answer.error();
  return {};
}

Result<Reading> read_one(const Interfaces& host, DomainInfo domain, SteadyTime listed) {
  Reading reading;
  const DomainRef ref{domain.domain};
  reading.domain = std::move(domain);
  reading.time = listed;
  if (reading.domain.state == DomainState::shut_off) return reading;
  VMSEC_CHECK(keep(host.io.statistics(ref), reading.counters, reading.trouble));
  reading.counted = std::chrono::steady_clock::now();
  VMSEC_CHECK(keep(host.resources.get(ref), reading.resources, reading.trouble));
  VMSEC_CHECK(keep(host.io.get(ref), reading.limits, reading.trouble));
  return reading;
}

}  // namespace

Result<std::vector<Reading>> read_all(const Interfaces& host) {
  VMSEC_TRY(auto list, host.domains.list(Empty{}));
  const auto listed = std::chrono::steady_clock::now();
  std::vector<Reading> out;
  for (auto& domain : list.domains) {
    VMSEC_TRY(auto reading, read_one(host, std::move(domain), listed));
    out.push_back(std::move(reading));
  }
  return out;
}

}  // namespace vmsec::tools
