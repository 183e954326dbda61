#include "nic_limits.hpp"

#include <algorithm>

#include "domain.hpp"
#include "qemu_process.hpp"
#include "tc.hpp"
#include "tc_parse.hpp"
#include "typed_params.hpp"

namespace vmsec::kvm {
namespace {

using common::is_interface_name;
using common::read_tap_limit;
using common::write_tap_limit;

constexpr std::uint64_t kKilobyte = 1000;                   // libvirt counts bandwidth in these
constexpr std::uint64_t kLeast = 1000;                      // bytes/s: below it one packet takes seconds
constexpr std::uint64_t kLargestRate = 100'000'000'000;     // bytes/s
constexpr std::uint64_t kLargestByLibvirt = 4'294'967'295;  // kB/s, in 32 bits

// Why the tap is not within reach of this process; success where it is. The
// name alone proves nothing: another namespace may have the same.
Status within_reach(const NicPlace& nic) {
  VMSEC_TRY(const QemuProcess qemu, find_qemu(nic.run_dir, name_of(nic.domain), nic.uuid));
  if (shares_network(qemu)) return {};
  return fail(Code::unsupported, nic.target + " is in another network namespace than this process");
}

Result<NicLimit> read_by_libvirt(const NicPlace& nic, std::string_view operation) {
  int count = 0;
  if (virDomainGetInterfaceParameters(nic.domain, nic.target.c_str(), nullptr, &count, VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(virt_error(operation));
  TypedParams params(count);
  if (virDomainGetInterfaceParameters(nic.domain, nic.target.c_str(), params.data(), params.count(),
                                      VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(virt_error(operation));
  NicLimit out;
  out.target = nic.target;
  out.receive.value = params.unsigned_or_zero(VIR_DOMAIN_BANDWIDTH_IN_AVERAGE) * kKilobyte;
  out.transmit.value = params.unsigned_or_zero(VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE) * kKilobyte;
  return out;
}

Status write_by_libvirt(const NicPlace& nic, const NicLimit& limit, unsigned int flags, std::string_view operation) {
  const auto average = [](BytesPerSecond rate) {
    return static_cast<std::uint32_t>(std::min(rate.value / kKilobyte, kLargestByLibvirt));
  };
  TypedParams params;
  params.add_unsigned32(VIR_DOMAIN_BANDWIDTH_IN_AVERAGE, average(limit.receive));
  params.add_unsigned32(VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE, average(limit.transmit));
  if (virDomainSetInterfaceParameters(nic.domain, nic.target.c_str(), params.data(), params.size(), flags) < 0)
    return fail(virt_error(operation));
  return {};
}

// libvirt's own way needs parts of the kernel (sfq, police) that smaller ones
// lack, and it says so as an internal error.
Status write_elsewhere(const NicPlace& nic, const NicLimit& limit, unsigned int flags, const Error& why_not_tc,
                       std::string_view operation) {
  const Status written = write_by_libvirt(nic, limit, flags, operation);
  if (written) return {};
  Error error = written.error();
  if (error.code == Code::internal || error.code == Code::io) error.code = Code::unsupported;
  error.message += " (and not by tc here: " + why_not_tc.message + ")";
  return fail(std::move(error));
}

Status write_here(const NicPlace& nic, const NicLimit& limit, unsigned int flags, std::string_view operation) {
  // What the domain's XML bounds already would hold beside ours.
  const auto by_libvirt = read_by_libvirt(nic, operation);
  if (by_libvirt && (by_libvirt->receive.value != 0 || by_libvirt->transmit.value != 0)) {
    NicLimit none;
    none.target = nic.target;
    VMSEC_CHECK(write_by_libvirt(nic, none, flags, operation));
  }
  const Status written = write_tap_limit(limit);
  if (!written) return fail(written.error().in(operation));
  return {};
}

bool same_rate(BytesPerSecond wanted, BytesPerSecond is, std::uint64_t grain) {
  return wanted.value / grain == is.value / grain;
}

}  // namespace

Status check_nic_limit(const NicLimit& limit, std::string_view operation) {
  if (!is_interface_name(limit.target))
    return fail(Code::invalid_argument, std::string(operation) + ": not an interface's name");
  for (const auto rate : {limit.receive.value, limit.transmit.value}) {
    if (rate == 0 || (rate >= kLeast && rate <= kLargestRate)) continue;
    return fail(Code::limit_exceeded, std::string(operation) + ": a rate of " + std::to_string(rate) +
                                          " bytes/s is outside of " + std::to_string(kLeast) + " to " +
                                          std::to_string(kLargestRate));
  }
  return {};
}

Result<NicLimit> read_nic_limit(const NicPlace& nic, std::string_view operation) {
  const auto by_libvirt = read_by_libvirt(nic, operation);
  if (!within_reach(nic)) return by_libvirt;
  auto by_tc = read_tap_limit(nic.target);
  if (!by_tc) return fail(by_tc.error().in(operation));
  if (by_libvirt && by_tc->receive.value == 0) by_tc->receive = by_libvirt->receive;
  if (by_libvirt && by_tc->transmit.value == 0) by_tc->transmit = by_libvirt->transmit;
  return by_tc;
}

Status write_nic_limit(const NicPlace& nic, const NicLimit& limit, unsigned int flags, std::string_view operation) {
  const Status reach = within_reach(nic);
  VMSEC_CHECK(reach ? write_here(nic, limit, flags, operation)
                    : write_elsewhere(nic, limit, flags, reach.error(), operation));
  VMSEC_TRY(const NicLimit is, read_nic_limit(nic, operation));
  const std::uint64_t grain = reach ? 1 : kKilobyte;
  if (same_rate(limit.receive, is.receive, grain) && same_rate(limit.transmit, is.transmit, grain)) return {};
  return fail(Code::internal, std::string(operation) + ": the limit did not take: receive " +
                                  std::to_string(is.receive.value) + ", transmit " + std::to_string(is.transmit.value) +
                                  " bytes/s are read back");
}

Result<IoCounters> read_nic_counters(const NicPlace& nic, std::string_view operation) {
  virDomainInterfaceStatsStruct stats{};
  if (virDomainInterfaceStats(nic.domain, nic.target.c_str(), &stats, sizeof stats) < 0)
    return fail(virt_error(operation));
  const auto known = [](long long value) { return value < 0 ? 0 : static_cast<std::uint64_t>(value); };
  IoCounters out;
  out.target = nic.target;
  out.read.value = known(stats.rx_bytes);
  out.written.value = known(stats.tx_bytes);
  out.read_ops = known(stats.rx_packets);
  out.write_ops = known(stats.tx_packets);
  return out;
}

}  // namespace vmsec::kvm
