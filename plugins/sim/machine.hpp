// A domain that has power: its RAM, its devices, and the threads that work them.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "disk_device.hpp"
#include "domain_spec.hpp"
#include "guest_memory.hpp"
#include "nic_device.hpp"
#include "run_gate.hpp"
#include "vcpu.hpp"
#include "vmsec/capability/resource_control.hpp"

namespace vmsec::sim {

// The limits of a domain, complete: what get() answers and what travels with it.
struct Limits {
  ResourceLimits resources;
  IoLimits io;
  static constexpr std::string_view kMessage = "vmsec.sim.Limits";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "resources", &Limits::resources), wire::field(2, "io", &Limits::io));
  }
};

// No limit at all, for each device of this domain and each vCPU that it may have.
Limits unlimited(const DomainSpec& spec);

// What a machine is beside its RAM.
struct MachineState {
  std::uint64_t tick = 0;
  std::uint64_t writes = 0;  // see GuestMemory::writes
  Microseconds cpu_time;
  std::vector<VcpuState> vcpus;
  std::vector<IoCounters> disks;
  std::vector<IoCounters> nics;
  Limits limits;
  static constexpr std::string_view kMessage = "vmsec.sim.MachineState";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "tick", &MachineState::tick), wire::field(2, "writes", &MachineState::writes),
                        wire::field(3, "cpu_time", &MachineState::cpu_time),
                        wire::field(4, "vcpus", &MachineState::vcpus), wire::field(5, "disks", &MachineState::disks),
                        wire::field(6, "nics", &MachineState::nics), wire::field(7, "limits", &MachineState::limits));
  }
};

// Any thread may call, but for run(), stop() and halt(), which SimHost calls one at a time.
class Machine {
 public:
  // Stopped. `disks` are the open files, in the spec's order.
  static Result<std::shared_ptr<Machine>> create(const DomainSpec& spec, std::vector<Fd> disks);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void boot() { memory_->fill(spec_.workload.fill); }
  void run() { gate_.open(); }
  // Afterwards nothing of the guest moves.
  void stop() { gate_.close(); }
  // For good: the threads end.
  void halt();
  [[nodiscard]] bool running() { return gate_.is_open(); }

  [[nodiscard]] const DomainSpec& spec() const { return spec_; }
  [[nodiscard]] GuestMemory& memory() { return *memory_; }
  [[nodiscard]] Microseconds cpu_time() const { return {cpu_time_.used()}; }
  [[nodiscard]] Microseconds cpu_steal() const { return {cpu_time_.stolen()}; }
  [[nodiscard]] IoStatistics statistics() const;

  // Bounds the domain's CPU time, in CPU microseconds a second.
  void set_cpu_rate(std::uint64_t micros) { cpu_time_.set_rate(micros); }
  void throttle(std::uint32_t percent);
  // The first `count` vCPUs work, the others do not.
  void set_vcpus(std::uint32_t count);
  // Read back: an error where the kernel did not take it.
  Status pin(const VcpuPin& pin);
  Status set_memory_limit(Bytes limit);
  void set_disk(const DiskLimit& limit);
  void set_nic(const NicLimit& limit);
  // All of `limits`, but for what the host shares out (weight, quota).
  Status apply(const Limits& limits);

  // Only while stopped.
  [[nodiscard]] MachineState state(const Limits& limits);
  // `invalid_argument` when it is not of this machine's shape, or of another moment than its memory, which may follow.
  enum class Memory { whole, follows };
  Status restore(const MachineState& state, Memory memory);

 private:
  Machine(const DomainSpec& spec, std::unique_ptr<GuestMemory> memory, std::vector<Fd> disks);
  void start(Worker& worker);
  void work(Worker& worker);

  const DomainSpec spec_;
  std::unique_ptr<GuestMemory> memory_;
  CpuTime cpu_time_;
  RunGate gate_;
  std::vector<std::unique_ptr<Vcpu>> vcpus_;
  std::vector<std::unique_ptr<DiskDevice>> disks_;
  std::vector<std::unique_ptr<NicDevice>> nics_;
  std::mutex threads_mutex_;
  std::vector<std::thread> threads_;  // the vCPUs' first, in their order
};

}  // namespace vmsec::sim
