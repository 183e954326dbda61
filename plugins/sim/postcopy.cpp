// Post-copy: the guest runs at the destination, which asks for the pages that it needs first; the others are sent as
// they come. A page that is asked for has a channel of its own: nothing of the others is before it.
#include <bit>
#include <random>

#include "outgoing.hpp"

namespace vmsec::sim {
namespace {

constexpr std::chrono::seconds kBeginWait{10};

}  // namespace

Status Outgoing::start_post_copy() {
  const std::string what = "start post-copy of " + spec_.name;
  std::unique_lock lock(mutex_);
  if (post_copy_ != PostCopy::may || progress_.iteration == 0)
    return fail(Code::wrong_state, what + ": it does not send just now");
  post_copy_ = PostCopy::asked;
  asked_ = true;
  const bool answered = changed_.wait_for(lock, kBeginWait, [&] { return post_copy_ != PostCopy::asked; });
  if (post_copy_ == PostCopy::begun) return {};
  if (!answered) {
    post_copy_ = PostCopy::too_late;
    return fail(Code::timeout, what + ": nobody takes what it sends");
  }
  return fail(Code::wrong_state, what + ": it came to an end before");
}

bool Outgoing::post_copy_wanted() {
  const std::lock_guard lock(mutex_);
  if (post_copy_ == PostCopy::may) post_copy_ = PostCopy::too_late;
  return post_copy_ == PostCopy::asked;
}

void Outgoing::settle_post_copy(PostCopy how) {
  const std::lock_guard lock(mutex_);
  post_copy_ = how;
  changed_.notify_all();
}

void Outgoing::run_post_copy() {
  if (Status stopped = stop_for_post_copy(); !stopped) {
    settle_post_copy(PostCopy::too_late);
    return give_up(stopped.error());
  }
  settle_post_copy(PostCopy::begun);
  Status served = send_map();
  if (served) served = pass_gate();
  if (served) served = serve();
  if (!served) return lose(served.error());
  host_.faults().step("source.loaded");
  if (auto gone = host_.forget_moved(spec_.uuid); !gone) return doubt(gone.error().message);
  host_.faults().step("source.released");
  end(SessionEventKind::done, {});
}

// Whatever fails here, the guest goes on.
Status Outgoing::stop_for_post_copy() {
  VMSEC_CHECK(stop_guest());
  // A restart of this host must not start what the destination may run.
  VMSEC_CHECK(host_.hold_for_move(spec_.uuid));
  host_.faults().step("source.held");
  return {};
}

// The first page is the guest's clock, which no guest can wait for.
Status Outgoing::send_map() {
  behind_ = machine_->memory().take_dirty();
  behind_.front() &= ~std::uint64_t{1};
  unsent_ = behind_;
  VMSEC_CHECK(send_run(*main_, 0, 1, lane_records_[0]));
  VMSEC_TRY(const Limits limits, host_.limits(spec_.uuid, "move domain"));
  const std::string state = wire::encode(machine_->state(limits));
  const DataHeader header{DataKind::state, static_cast<std::uint32_t>(state.size()), 0};
  VMSEC_CHECK(main_->send(&header, sizeof header));
  VMSEC_CHECK(main_->send(state.data(), state.size()));
  std::uint64_t pages = 0;
  for (const auto word : behind_) pages += static_cast<std::uint64_t>(std::popcount(word));
  const auto size = static_cast<std::uint32_t>(behind_.size() * sizeof(std::uint64_t));
  const DataHeader map{DataKind::behind, size, pages};
  VMSEC_CHECK(main_->send(&map, sizeof map));
  VMSEC_CHECK(main_->send(behind_.data(), size));
  host_.events().add(EventKind::migration_iteration, spec_.uuid, spec_.name,
                     "post-copy: " + std::to_string(pages) + " pages follow the guest");
  return {};
}

Status Outgoing::serve() {
  Faults& faults = host_.faults();
  faults.step("source.decided");
  Digest sum;
  for (const auto& digest : page_digests_) sum += digest;
  std::random_device random;
  Control finish{.kind = ControlKind::finish, .behind = true};
  for (const auto records : lane_records_) finish.records += records;
  finish.digest_low = sum.low;
  finish.digest_high = sum.high;
  finish.token = (static_cast<std::uint64_t>(random()) << 32) | random();
  VMSEC_CHECK(send(finish));
  faults.step("source.finish_sent");
  VMSEC_TRY(const Control runs, receive());
  if (runs.kind != ControlKind::runs || runs.token != finish.token)
    return fail(Code::cancelled, "the destination does not run it: " + runs.reason);
  measure_downtime();
  faults.step("source.follows");
  std::thread urgent([this] { serve_urgent(); });
  Status sent = send_behind();
  const auto loaded = sent ? receive() : Result<Control>(fail(sent.error()));
  urgent_->break_off();
  urgent.join();
  if (!loaded) return fail(loaded.error());
  if (loaded->kind != ControlKind::loaded || loaded->token != finish.token)
    return fail(Code::cancelled, "the destination has not all of it: " + loaded->reason);
  return {};
}

std::uint32_t Outgoing::claim_run(std::size_t run) {
  const std::lock_guard lock(serving_);
  const std::size_t shift = run % 2 * GuestMemory::kRun;
  const auto bits = static_cast<std::uint32_t>(unsent_[run / 2] >> shift);
  unsent_[run / 2] &= ~(std::uint64_t{bits} << shift);
  return bits;
}

Status Outgoing::send_behind() {
  const std::size_t runs = (machine_->memory().pages() + GuestMemory::kRun - 1) / GuestMemory::kRun;
  for (std::size_t run = 0; run < runs; ++run) {
    const std::uint32_t bits = claim_run(run);
    if (bits == 0) continue;
    VMSEC_CHECK(trouble());
    VMSEC_CHECK(send_run(*main_, run * GuestMemory::kRun, bits, lane_records_[0]));
  }
  const DataHeader end{DataKind::end, 0, lane_records_[0]};
  VMSEC_CHECK(main_->send(&end, sizeof end));
  main_->end_sending();
  VMSEC_CHECK(end_urgent());
  Digest sum;
  for (const auto& digest : page_digests_) sum += digest;
  return send(Control{.kind = ControlKind::sent, .digest_low = sum.low, .digest_high = sum.high});
}

// Whatever is asked for from here on is on its way.
Status Outgoing::end_urgent() {
  const std::lock_guard lock(serving_);
  urgent_over_ = true;
  const DataHeader end{DataKind::end, 0, urgent_records_};
  return urgent_->send(&end, sizeof end);
}

void Outgoing::serve_urgent() {
  while (true) {
    PageRequest request{};
    Status good = urgent_->receive(&request, sizeof request);
    const bool heard = good.has_value();
    if (good) good = send_urgent(request.page);
    if (good) continue;
    const std::lock_guard lock(serving_);
    if (heard || !urgent_over_) fail_data(good.error());
    return;
  }
}

// Also where it is on its way already, behind others: what it holds does not change here any more.
Status Outgoing::send_urgent(std::uint64_t page) {
  GuestMemory& memory = machine_->memory();
  const std::uint64_t bit = std::uint64_t{1} << (page % 64);
  if (page >= memory.pages() || (behind_[page / 64] & bit) == 0)
    return fail(Code::invalid_argument, "the destination asks for page " + std::to_string(page) + ", which it has");
  std::array<unsigned char, kPageSize> bytes;
  memory.copy(page, 1, bytes.data());
  const bool zeros = is_zero(bytes.data());
  const DataHeader header{zeros ? DataKind::zeros : DataKind::pages, 1, page};
  const std::lock_guard lock(serving_);
  if (urgent_over_) return {};
  if ((unsent_[page / 64] & bit) != 0) {
    unsent_[page / 64] &= ~bit;
    page_digests_[page] = zeros ? Digest{} : page_digest(page, bytes.data());
  }
  ++urgent_records_;
  bytes_ += sizeof header + (zeros ? 0 : kPageSize);
  VMSEC_CHECK(urgent_->send(&header, sizeof header));
  return zeros ? Status{} : urgent_->send(bytes.data(), bytes.size());
}

// What it holds is old as soon as the destination runs it; and that it may.
void Outgoing::lose(const Error& why) {
  static_cast<void>(send(Control{.kind = ControlKind::abort, .reason = why.message}));
  host_.lose(spec_.uuid, "its post-copy failed: " + why.message);
  end(SessionEventKind::doubt, "the post-copy of " + spec_.name + " had begun, and failed: " + why.message);
}

}  // namespace vmsec::sim
