// Pre-copy: the guest's memory is sent while it runs, then what it wrote
// meanwhile, again and again, until the rest fits the downtime that is allowed.
#include <algorithm>

#include "outgoing.hpp"

namespace vmsec::sim {
namespace {

constexpr double kDefaultDowntime = 0.3;  // seconds
constexpr std::uint32_t kPatience = 4;    // iterations before the guest is slowed down
constexpr std::uint32_t kSlowest = 99;
constexpr std::uint32_t kIterationsMaximum = 100;

std::string milliseconds(double seconds) { return std::to_string(static_cast<std::uint64_t>(seconds * 1e3)) + " ms"; }

}  // namespace

Status Outgoing::precopy() {
  GuestMemory& memory = machine_->memory();
  const double allowed = options_.maximum_downtime.value == 0
                             ? kDefaultDowntime
                             : static_cast<double>(options_.maximum_downtime.value) / 1e6;
  memory.mark_all_dirty();
  double busy = 0;
  double expected = 0;
  for (std::uint32_t iteration = 1; iteration <= kIterationsMaximum; ++iteration) {
    host_.faults().step("source.iteration");
    const std::size_t pages = memory.dirty_pages();
    const TimePoint start = Clock::now();
    VMSEC_CHECK(send_pass());
    if (asked_) return {};
    const double seconds = std::max(1e-6, seconds_between(start, Clock::now()));
    busy += seconds;
    const auto left = static_cast<double>(memory.dirty_pages() * kPageSize);
    const double bandwidth = std::max(1.0, static_cast<double>(bytes_.load()) / busy);
    expected = left / bandwidth;
    {
      const std::lock_guard lock(mutex_);
      progress_.iteration = iteration;
      progress_.remaining.value = static_cast<std::uint64_t>(left);
      progress_.dirty_rate.value = static_cast<std::uint64_t>(left / seconds);
      progress_.downtime.value = static_cast<std::uint64_t>(expected * 1e6);
    }
    host_.events().add(EventKind::migration_iteration, spec_.uuid, spec_.name,
                       "iteration " + std::to_string(iteration) + ": " + std::to_string(pages) + " pages, " +
                           std::to_string(static_cast<std::uint64_t>(left) / kPageSize) + " written meanwhile");
    if (expected <= allowed) return {};
    slow_down(iteration);
  }
  return fail(Code::timeout, "after " + std::to_string(kIterationsMaximum) + " iterations its downtime would be " +
                                 milliseconds(expected) + ", more than the allowed " + milliseconds(allowed));
}

// A guest that writes faster than the channel carries loses CPU, step by step.
void Outgoing::slow_down(std::uint32_t iteration) {
  if (iteration < kPatience || slowed_ >= kSlowest) return;
  slowed_ = std::min(kSlowest, slowed_ == 0 ? 20 : slowed_ + 10);
  machine_->throttle(slowed_);
}

Status Outgoing::stop_guest() {
  VMSEC_CHECK(trouble());
  VMSEC_CHECK(host_.stop_for_move(spec_.uuid));
  stopped_ = true;
  stopped_at_ = Clock::now();
  machine_->throttle(0);
  return {};
}

Status Outgoing::last_pass() {
  VMSEC_CHECK(stop_guest());
  VMSEC_CHECK(send_pass());
  VMSEC_TRY(const Limits limits, host_.limits(spec_.uuid, "move domain"));
  const std::string state = wire::encode(machine_->state(limits));
  const DataHeader header{DataKind::state, static_cast<std::uint32_t>(state.size()), 0};
  VMSEC_CHECK(main_->send(&header, sizeof header));
  VMSEC_CHECK(main_->send(state.data(), state.size()));
  VMSEC_CHECK(send_ends());
  host_.faults().step("source.stopped");
  return {};
}

Status Outgoing::send_ends() {
  const auto end = [](Stream& stream, std::uint64_t records) -> Status {
    const DataHeader header{DataKind::end, 0, records};
    VMSEC_CHECK(stream.send(&header, sizeof header));
    stream.end_sending();
    return {};
  };
  for (std::size_t i = 0; i < lanes_.size(); ++i) VMSEC_CHECK(end(*lanes_[i], lane_records_[i]));
  if (urgent_) VMSEC_CHECK(end(*urgent_, 0));
  return lanes_.front() == main_.get() ? Status{} : end(*main_, 0);
}

// A page belongs to one lane for good: its versions cannot overtake each other.
Status Outgoing::send_pass() {
  const auto dirty = machine_->memory().take_dirty();
  std::vector<Status> results(lanes_.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < lanes_.size(); ++i) threads.emplace_back([&, i] { results[i] = send_lane(i, dirty); });
  results[0] = send_lane(0, dirty);
  for (auto& thread : threads) thread.join();
  // Why a channel broke is better known from the session than from the channel.
  VMSEC_CHECK(trouble());
  for (const auto& result : results) VMSEC_CHECK(result);
  return {};
}

Status Outgoing::send_lane(std::size_t lane, const std::vector<std::uint64_t>& dirty) {
  const std::size_t runs = (machine_->memory().pages() + GuestMemory::kRun - 1) / GuestMemory::kRun;
  for (std::size_t run = lane; run < runs; run += lanes_.size()) {
    const auto bits = static_cast<std::uint32_t>(dirty[run / 2] >> (run % 2 * GuestMemory::kRun));
    if (asked_) {
      // The rest is post-copy's.
      machine_->memory().mark_dirty_again(run / 2, std::uint64_t{bits} << (run % 2 * GuestMemory::kRun));
      continue;
    }
    if (bits != 0) VMSEC_CHECK(send_run(*lanes_[lane], run * GuestMemory::kRun, bits, lane_records_[lane]));
  }
  return {};
}

// `dirty`: which of the run's pages. Neighbours of one kind go in one record.
Status Outgoing::send_run(Stream& stream, std::size_t first, std::uint32_t dirty, std::uint64_t& records) {
  GuestMemory& memory = machine_->memory();
  const auto count = static_cast<std::uint32_t>(std::min(GuestMemory::kRun, memory.pages() - first));
  std::array<unsigned char, GuestMemory::kRun * kPageSize> bytes;
  memory.copy(first, count, bytes.data());
  const auto kind_of = [&](std::uint32_t i) {
    const bool zero = first + i != 0 && is_zero(bytes.data() + i * kPageSize);
    return zero ? DataKind::zeros : DataKind::pages;
  };
  for (std::uint32_t i = 0; i < count;) {
    if ((dirty >> i & 1) == 0) {
      ++i;
      continue;
    }
    const DataKind kind = kind_of(i);
    std::uint32_t end = i + 1;
    while (end < count && (dirty >> end & 1) != 0 && kind_of(end) == kind) ++end;
    VMSEC_CHECK(send_pages(stream, kind, first + i, end - i, bytes.data() + i * kPageSize));
    records += end - i;
    i = end;
  }
  return {};
}

Status Outgoing::send_pages(Stream& stream, DataKind kind, std::size_t page, std::uint32_t count,
                            const unsigned char* bytes) {
  const bool zeros = kind == DataKind::zeros;
  for (std::uint32_t i = 0; i < count; ++i)
    page_digests_[page + i] = zeros ? Digest{} : page_digest(page + i, bytes + i * kPageSize);
  const std::size_t payload = zeros ? 0 : count * kPageSize;
  const DataHeader header{kind, count, page};
  VMSEC_CHECK(pace(sizeof header + payload));
  VMSEC_CHECK(stream.send(&header, sizeof header));
  VMSEC_CHECK(stream.send(bytes, payload));
  bytes_ += sizeof header + payload;
  const std::lock_guard lock(mutex_);
  progress_.transferred.value = bytes_.load();
  progress_.remaining.value -= std::min(progress_.remaining.value, count * kPageSize);
  return {};
}

Status Outgoing::pace(std::size_t bytes) {
  while (true) {
    double seconds = 0;
    {
      const std::lock_guard lock(pacer_mutex_);
      seconds = pacer_.seconds_until_ready(Clock::now());
      if (seconds <= 0) pacer_.spend(static_cast<double>(bytes));
    }
    if (seconds <= 0) return {};
    wait([] { return false; }, std::min(seconds, 0.1));
    VMSEC_CHECK(trouble());
  }
}

}  // namespace vmsec::sim
