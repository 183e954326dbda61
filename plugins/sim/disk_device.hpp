// A virtual disk: a file, the guest's reads and writes of it, and its limits.
#pragma once

#include <mutex>
#include <vector>

#include "domain_spec.hpp"
#include "token_bucket.hpp"
#include "vmsec/capability/io_control.hpp"
#include "worker.hpp"

namespace vmsec::sim {

// A disk without a capacity, by the path of a file that is there, gets the file's.
Status measure_disk(DiskSpec& disk);

// Opens the disk's file. A new one is made, sparse, where `make` says so.
enum class MakeFile { yes, no };
Result<Fd> open_disk(const DiskSpec& spec, const std::string& path, MakeFile make);

class DiskDevice final : public Worker {
 public:
  DiskDevice(const DiskSpec& spec, Fd file, std::uint64_t seed);
  Next step(TimePoint now, double seconds) override;

  [[nodiscard]] const std::string& target() const { return spec_.target; }
  void set_limit(const DiskLimit& limit);
  [[nodiscard]] IoCounters counters() const;
  void set_counters(const IoCounters& counters);

 private:
  struct Direction {
    Demand demand;
    RateLimit bytes;
    RateLimit ops;
    std::uint64_t count = 0;  // of operations, since the domain started
    std::uint64_t total = 0;  // of bytes
  };
  enum class Kind { read, write };
  bool transfer(Kind kind, Direction& direction, TimePoint now);

  const DiskSpec spec_;
  const Fd file_;
  std::vector<unsigned char> buffer_;
  mutable std::mutex mutex_;
  Direction read_;
  Direction write_;
};

}  // namespace vmsec::sim
