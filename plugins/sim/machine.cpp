#include "machine.hpp"

#include <pthread.h>
#include <sched.h>

#include <algorithm>

namespace vmsec::sim {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(10);
constexpr double kLongestStep = 0.25;  // seconds that a thread which woke late makes up for

// What this process may use: the meaning of "all CPUs".
const cpu_set_t& process_cpus() {
  static const cpu_set_t kCpus = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    ::sched_getaffinity(::getpid(), sizeof set, &set);
    return set;
  }();
  return kCpus;
}

}  // namespace

Limits unlimited(const DomainSpec& spec) {
  Limits limits;
  limits.resources.cpu_weight = 1024;
  limits.resources.cpu_quota_millis = 0;
  limits.resources.memory_limit = Bytes{0};
  limits.resources.vcpus = spec.vcpus;
  for (std::uint32_t i = 0; i < spec.vcpus_maximum; ++i) limits.resources.pins.push_back({i, {}});
  for (const auto& disk : spec.disks) limits.io.disks.push_back({.target = disk.target});
  for (const auto& nic : spec.nics) limits.io.nics.push_back({.target = nic.target});
  return limits;
}

Result<std::shared_ptr<Machine>> Machine::create(const DomainSpec& spec, std::vector<Fd> disks) {
  VMSEC_TRY(auto memory, GuestMemory::create(spec.name, spec.memory, {spec.seed, spec.workload.marker}));
  return std::shared_ptr<Machine>(new Machine(spec, std::move(memory), std::move(disks)));
}

Machine::Machine(const DomainSpec& spec, std::unique_ptr<GuestMemory> memory, std::vector<Fd> disks)
    : spec_(spec), memory_(std::move(memory)) {
  for (std::uint32_t i = 0; i < spec_.vcpus_maximum; ++i)
    vcpus_.push_back(std::make_unique<Vcpu>(spec_, i, *memory_, cpu_time_));
  for (std::size_t i = 0; i < spec_.disks.size(); ++i)
    disks_.push_back(std::make_unique<DiskDevice>(spec_.disks[i], std::move(disks[i]), spec_.seed));
  for (const auto& nic : spec_.nics) nics_.push_back(std::make_unique<NicDevice>(nic));
  set_vcpus(spec_.vcpus);
  process_cpus();
  for (auto& vcpu : vcpus_) start(*vcpu);
  for (auto& disk : disks_) start(*disk);
  for (auto& nic : nics_) start(*nic);
}

Machine::~Machine() { halt(); }

void Machine::start(Worker& worker) {
  threads_.emplace_back([this, &worker] { work(worker); });
}

void Machine::work(Worker& worker) {
  TimePoint last = Clock::now();
  TimePoint due = last;
  std::uint64_t epoch = 0;
  while (const auto entered = gate_.enter(due)) {
    const TimePoint now = Clock::now();
    if (*entered != epoch) last = now;  // time stood still while the domain was stopped
    epoch = *entered;
    const Next next = worker.step(now, std::min(kLongestStep, seconds_between(last, now)));
    last = now;
    due = next == Next::again ? now : now + kPeriod;
    gate_.leave();
  }
}

void Machine::halt() {
  const std::lock_guard lock(threads_mutex_);
  gate_.end();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

IoStatistics Machine::statistics() const {
  IoStatistics out;
  for (const auto& disk : disks_) out.disks.push_back(disk->counters());
  for (const auto& nic : nics_) out.nics.push_back(nic->counters());
  return out;
}

void Machine::throttle(std::uint32_t percent) {
  for (auto& vcpu : vcpus_) vcpu->throttle(percent);
}

void Machine::set_vcpus(std::uint32_t count) {
  for (std::size_t i = 0; i < vcpus_.size(); ++i) vcpus_[i]->set_online(i < count);
}

Status Machine::pin(const VcpuPin& pin) {
  const std::string what = "pin vCPU " + std::to_string(pin.vcpu) + " of " + spec_.name;
  const std::lock_guard lock(threads_mutex_);
  if (pin.vcpu >= vcpus_.size() || threads_.empty()) return fail(Code::wrong_state, what + ": it has no thread");
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  for (const auto cpu : pin.cpus) {
    if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &process_cpus()))
      return fail(Code::limit_exceeded, what + ": CPU " + std::to_string(cpu) + " is not one of this host's");
    CPU_SET(cpu, &wanted);
  }
  if (pin.cpus.empty()) wanted = process_cpus();
  const auto thread = threads_[pin.vcpu].native_handle();
  if (const int error = ::pthread_setaffinity_np(thread, sizeof wanted, &wanted); error != 0)
    return fail(errno_error(what, error));
  cpu_set_t taken;
  if (const int error = ::pthread_getaffinity_np(thread, sizeof taken, &taken); error != 0)
    return fail(errno_error(what, error));
  if (!CPU_EQUAL(&wanted, &taken)) return fail(Code::internal, what + ": the kernel did not take it");
  return {};
}

Status Machine::set_memory_limit(Bytes limit) {
  const std::size_t pages = limit.value == 0 ? memory_->pages() : limit.value / kPageSize;
  return memory_->set_limit(pages);
}

void Machine::set_disk(const DiskLimit& limit) {
  for (auto& disk : disks_)
    if (disk->target() == limit.target) disk->set_limit(limit);
}

void Machine::set_nic(const NicLimit& limit) {
  for (auto& nic : nics_)
    if (nic->target() == limit.target) nic->set_limit(limit);
}

Status Machine::apply(const Limits& limits) {
  for (const auto& each : limits.io.disks) set_disk(each);
  for (const auto& each : limits.io.nics) set_nic(each);
  VMSEC_CHECK(set_memory_limit(limits.resources.memory_limit.value_or(Bytes{0})));
  for (const auto& each : limits.resources.pins) VMSEC_CHECK(pin(each));
  set_vcpus(limits.resources.vcpus.value_or(spec_.vcpus));
  return {};
}

MachineState Machine::state(const Limits& limits) {
  MachineState state;
  state.tick = memory_->tick();
  state.writes = memory_->writes();
  state.cpu_time = cpu_time();
  for (const auto& vcpu : vcpus_) state.vcpus.push_back(vcpu->state());
  auto [disks, nics] = statistics();
  state.disks = std::move(disks);
  state.nics = std::move(nics);
  state.limits = limits;
  return state;
}

Status Machine::restore(const MachineState& state, Memory memory) {
  const auto same_target = [](const auto& spec, const auto& other) { return spec.target == other.target; };
  const auto same = [&](const auto& specs, const auto& others) {
    return std::ranges::equal(specs, others, same_target);
  };
  if (state.vcpus.size() != vcpus_.size() || !same(spec_.disks, state.disks) || !same(spec_.nics, state.nics) ||
      !same(spec_.disks, state.limits.io.disks) || !same(spec_.nics, state.limits.io.nics))
    return fail(Code::invalid_argument, "load the state of " + spec_.name + ": it is of another domain's shape");
  const std::uint32_t vcpus = state.limits.resources.vcpus.value_or(spec_.vcpus);
  if (vcpus == 0 || vcpus > vcpus_.size())
    return fail(Code::invalid_argument, "load the state of " + spec_.name + ": it has " + std::to_string(vcpus) +
                                            " vCPUs, its configuration allows 1 to " + std::to_string(vcpus_.size()));
  if (state.tick != memory_->tick() || (memory == Memory::whole && state.writes != memory_->writes()))
    return fail(Code::invalid_argument, "load the state of " + spec_.name + ": its memory is of another moment");
  cpu_time_.set_used(state.cpu_time.value);
  for (std::size_t i = 0; i < vcpus_.size(); ++i) vcpus_[i]->set_state(state.vcpus[i]);
  for (std::size_t i = 0; i < disks_.size(); ++i) disks_[i]->set_counters(state.disks[i]);
  for (std::size_t i = 0; i < nics_.size(); ++i) nics_[i]->set_counters(state.nics[i]);
  return {};
}

}  // namespace vmsec::sim
