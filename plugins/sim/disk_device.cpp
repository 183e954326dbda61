#include "disk_device.hpp"

#include <sys/stat.h>

#include <cstring>

#include "guest_page.hpp"

namespace vmsec::sim {
namespace {

constexpr int kOperationsPerStep = 64;
constexpr std::uint64_t kLeastDisk = 4096;

}  // namespace

Status measure_disk(DiskSpec& disk) {
  if (disk.capacity.value != 0) return {};
  const std::string what = "measure disk " + disk.target + ", " + disk.source;
  struct stat status{};
  if (::lstat(disk.source.c_str(), &status) != 0)
    return fail(errno_error(what, errno, errno == ENOENT ? Code::not_found : Code::io));
  if (!S_ISREG(status.st_mode)) return fail(Code::invalid_argument, what + ": not a regular file");
  disk.capacity.value = static_cast<std::uint64_t>(status.st_size);
  if (disk.capacity.value < kLeastDisk)
    return fail(Code::invalid_argument, what + ": it has " + std::to_string(disk.capacity.value) +
                                            " bytes, and a disk at least " + std::to_string(kLeastDisk));
  disk.block.value = std::min(disk.block.value, disk.capacity.value);
  return {};
}

Result<Fd> open_disk(const DiskSpec& spec, const std::string& path, MakeFile make) {
  const std::string what = "open disk " + spec.target + ", " + path;
  if (spec.capacity.value == 0) return fail(Code::invalid_argument, what + ": its capacity is missing");
  const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make == MakeFile::yes ? O_CREAT : 0);
  Fd file(::open(path.c_str(), flags, 0600));
  if (!file.valid()) return fail(errno_error(what, errno, errno == ENOENT ? Code::not_found : Code::io));
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail(errno_error(what));
  if (!S_ISREG(status.st_mode)) return fail(Code::invalid_argument, what + ": not a regular file");
  if (static_cast<std::uint64_t>(status.st_size) == spec.capacity.value) return file;
  if (status.st_size != 0)
    return fail(Code::invalid_argument, what + ": has " + std::to_string(status.st_size) + " bytes, not the " +
                                            std::to_string(spec.capacity.value) + " of its capacity");
  if (::ftruncate(file.get(), static_cast<off_t>(spec.capacity.value)) != 0) return fail(errno_error(what));
  return file;
}

DiskDevice::DiskDevice(const DiskSpec& spec, Fd file, std::uint64_t seed)
    : spec_(spec),
      file_(std::move(file)),
      buffer_(spec.block.value),
      read_{Demand(static_cast<double>(spec.read.value)), {}, {}, 0, 0},
      write_{Demand(static_cast<double>(spec.write.value)), {}, {}, 0, 0} {
  for (std::size_t i = 0; i + 8 <= buffer_.size(); i += 8) {
    const std::uint64_t word = splitmix64(seed + i);
    std::memcpy(buffer_.data() + i, &word, sizeof word);
  }
}

Next DiskDevice::step(TimePoint now, double seconds) {
  const std::lock_guard lock(mutex_);
  const auto block = static_cast<double>(spec_.block.value);
  read_.demand.pass(seconds, block);
  write_.demand.pass(seconds, block);
  for (int i = 0; i < kOperationsPerStep; ++i) {
    const bool more = transfer(Kind::read, read_, now);
    if (!transfer(Kind::write, write_, now) && !more) return Next::sleep;
  }
  return Next::again;
}

bool DiskDevice::transfer(Kind kind, Direction& direction, TimePoint now) {
  const auto block = spec_.block.value;
  if (direction.demand.due() < static_cast<double>(block)) return false;
  const bool bytes_ready = direction.bytes.ready(now);
  if (!direction.ops.ready(now) || !bytes_ready) return false;
  const std::uint64_t blocks = spec_.capacity.value / block;
  const auto place = static_cast<off_t>(direction.count % blocks * block);
  const auto done = kind == Kind::read ? ::pread(file_.get(), buffer_.data(), block, place)
                                       : ::pwrite(file_.get(), buffer_.data(), block, place);
  // A guest sees a failed operation, and tries again later: it is counted as none.
  if (done != static_cast<ssize_t>(block)) return false;
  direction.demand.done(static_cast<double>(block));
  direction.bytes.spend(static_cast<double>(block));
  direction.ops.spend(1);
  ++direction.count;
  direction.total += block;
  return true;
}

void DiskDevice::set_limit(const DiskLimit& limit) {
  const std::lock_guard lock(mutex_);
  read_.bytes.set(limit.read.value, limit.read_burst.value, limit.burst_seconds);
  write_.bytes.set(limit.write.value, limit.write_burst.value, limit.burst_seconds);
  read_.ops.set(limit.read_ops.value, 0, 0);
  write_.ops.set(limit.write_ops.value, 0, 0);
}

IoCounters DiskDevice::counters() const {
  const std::lock_guard lock(mutex_);
  return {spec_.target, {read_.total}, {write_.total}, read_.count, write_.count};
}

void DiskDevice::set_counters(const IoCounters& counters) {
  const std::lock_guard lock(mutex_);
  read_.total = counters.read.value;
  write_.total = counters.written.value;
  read_.count = counters.read_ops;
  write_.count = counters.write_ops;
}

}  // namespace vmsec::sim
