#include "disk_limits.hpp"

#include <algorithm>

#include "typed_params.hpp"

namespace vmsec::kvm {
namespace {

constexpr std::uint64_t kLargest = 1'000'000'000'000'000;  // QEMU's THROTTLE_VALUE_MAX

Status check_rate(std::uint64_t value, const char* what, std::string_view operation) {
  if (value <= kLargest) return {};
  return fail(Code::limit_exceeded, std::string(operation) + ": " + what + " of " + std::to_string(value) +
                                        " exceeds QEMU's largest, " + std::to_string(kLargest));
}

Status check_burst(std::uint64_t burst, std::uint64_t rate, std::uint32_t seconds, const char* what,
                   std::string_view operation) {
  VMSEC_CHECK(check_rate(burst, what, operation));
  if (burst == 0) return {};
  const std::string name = std::string(operation) + ": " + what;
  if (rate == 0) return fail(Code::invalid_argument, name + " without a rate bounds nothing");
  if (burst <= rate)
    return fail(Code::invalid_argument,
                name + " of " + std::to_string(burst) + " is not above the rate, " + std::to_string(rate));
  if (seconds == 0) return fail(Code::invalid_argument, name + " needs burst_seconds");
  // QEMU multiplies the two.
  if (burst > kLargest / seconds)
    return fail(Code::limit_exceeded, name + " of " + std::to_string(burst) + " for " + std::to_string(seconds) +
                                          " seconds exceeds QEMU's largest, " + std::to_string(kLargest));
  return {};
}

}  // namespace

Status check_disk_limit(const DiskLimit& limit, std::string_view operation) {
  VMSEC_CHECK(check_rate(limit.read.value, "a read rate", operation));
  VMSEC_CHECK(check_rate(limit.write.value, "a write rate", operation));
  VMSEC_CHECK(check_rate(limit.read_ops.value, "a rate of reads", operation));
  VMSEC_CHECK(check_rate(limit.write_ops.value, "a rate of writes", operation));
  VMSEC_CHECK(check_burst(limit.read_burst.value, limit.read.value, limit.burst_seconds, "a read burst", operation));
  return check_burst(limit.write_burst.value, limit.write.value, limit.burst_seconds, "a write burst", operation);
}

Result<DiskLimit> read_disk_limit(virDomainPtr domain, const std::string& target, std::string_view operation) {
  int count = 0;
  if (virDomainGetBlockIoTune(domain, target.c_str(), nullptr, &count, VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(virt_error(operation));
  TypedParams params(count);
  if (virDomainGetBlockIoTune(domain, target.c_str(), params.data(), params.count(), VIR_DOMAIN_AFFECT_LIVE) < 0)
    return fail(virt_error(operation));
  DiskLimit out;
  out.target = target;
  // A bound of both directions together, which others may have set, bounds each.
  const auto rate = [&](const char* own, const char* total) {
    const std::uint64_t value = params.unsigned_or_zero(own);
    return value != 0 ? value : params.unsigned_or_zero(total);
  };
  out.read.value = rate(VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC);
  out.write.value = rate(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC);
  out.read_ops.value = rate(VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC);
  out.write_ops.value = rate(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC);
  out.read_burst.value = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX);
  out.write_burst.value = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX);
  std::uint64_t seconds = 0;
  if (out.read_burst.value != 0) seconds = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX_LENGTH);
  if (out.write_burst.value != 0)
    seconds = std::max(seconds, params.unsigned_or_zero(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX_LENGTH));
  out.burst_seconds = static_cast<std::uint32_t>(seconds);
  return out;
}

Status write_disk_limit(virDomainPtr domain, const DiskLimit& limit, unsigned int flags, std::string_view operation) {
  TypedParams params;
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC, limit.read.value);
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC, limit.write.value);
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC, limit.read_ops.value);
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC, limit.write_ops.value);
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX, limit.read_burst.value);
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX, limit.write_burst.value);
  // Always: libvirt keeps what is not named, and QEMU refuses a length without its burst.
  const auto length = [&](BytesPerSecond burst) -> std::uint64_t { return burst.value == 0 ? 0 : limit.burst_seconds; };
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC_MAX_LENGTH, length(limit.read_burst));
  params.add_unsigned(VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC_MAX_LENGTH, length(limit.write_burst));
  if (virDomainSetBlockIoTune(domain, limit.target.c_str(), params.data(), params.size(), flags) < 0)
    return fail(virt_error(operation));
  VMSEC_TRY(const DiskLimit is, read_disk_limit(domain, limit.target, operation));
  DiskLimit wanted = limit;
  if (wanted.read_burst.value == 0 && wanted.write_burst.value == 0) wanted.burst_seconds = 0;
  if (is == wanted) return {};
  return fail(Code::internal, std::string(operation) + ": the limit did not take, another one is read back");
}

Result<IoCounters> read_disk_counters(virDomainPtr domain, const std::string& target, std::string_view operation) {
  int count = 0;
  if (virDomainBlockStatsFlags(domain, target.c_str(), nullptr, &count, 0) < 0) return fail(virt_error(operation));
  TypedParams params(count);
  if (virDomainBlockStatsFlags(domain, target.c_str(), params.data(), params.count(), 0) < 0)
    return fail(virt_error(operation));
  IoCounters out;
  out.target = target;
  out.read.value = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_STATS_READ_BYTES);
  out.written.value = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_STATS_WRITE_BYTES);
  out.read_ops = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_STATS_READ_REQ);
  out.write_ops = params.unsigned_or_zero(VIR_DOMAIN_BLOCK_STATS_WRITE_REQ);
  return out;
}

}  // namespace vmsec::kvm
