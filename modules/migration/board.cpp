#include "board.hpp"

#include <algorithm>

namespace vmsec::migration {
namespace {

constexpr std::uint64_t kLongestWait = 600'000'000;

UnixSeconds unix_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count())};
}

void apply(const OwnershipRecord& record, MigrationStatus& status) {
  status.state = state_of(record.phase);
  status.code = record.code;
  status.cause = record.cause;
  if (status.state == MigrationState::completed) {
    status.code = Code::ok;
    status.cause.clear();
  }
  if (status.state != MigrationState::in_doubt) return;
  status.code = Code::in_doubt;
  const std::string phase = "the record here is " + std::string(to_string(record.phase)) + ": resolve it";
  status.cause = record.cause.empty() ? phase : record.cause + "; " + phase;
}

}  // namespace

void Board::measure(const StreamTotals& totals, std::uint32_t streams) {
  update([&](MigrationStatus& status) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began_);
    status.streams = streams;
    status.bytes_sent = {totals.wire_bytes};
    status.guest_bytes = {totals.guest_bytes};
    status.local_cpu = {totals.cpu_microseconds};
    status.total_time = {static_cast<std::uint64_t>(elapsed.count())};
  });
}

void Board::end(MigrationState state, const std::optional<Error>& cause) {
  const std::lock_guard lock(mutex_);
  status_.state = state;
  status_.code = cause ? cause->code : Code::ok;
  status_.cause = cause ? cause->message : "";
  ended_ = true;
  changed_.notify_all();
}

void Board::reopen() {
  const std::lock_guard lock(mutex_);
  began_ = Clock::now();
  status_.state = MigrationState::preparing;
  status_.code = Code::ok;
  status_.cause.clear();
  ended_ = false;
}

void Board::settle(const OwnershipRecord& record) {
  const std::lock_guard lock(mutex_);
  apply(record, status_);
  ended_ = true;
  changed_.notify_all();
}

MigrationStatus Board::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

MigrationStatus Board::wait(Microseconds wait) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::microseconds(std::min(wait.value, kLongestWait)), [&] { return ended_; });
  return status_;
}

bool Board::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

std::shared_ptr<Board> Boards::add(MigrationStatus status) {
  if (status.started.value == 0) status.started = unix_now();
  auto board = std::make_shared<Board>(std::move(status));
  const std::lock_guard lock(mutex_);
  boards_.push_back(board);
  const auto forgettable = [](const auto& each) {
    return each->ended() && each->status().state != MigrationState::in_doubt;
  };
  auto ended = static_cast<std::size_t>(std::count_if(boards_.begin(), boards_.end(), forgettable));
  for (; ended > kEndedKept; --ended) boards_.erase(std::find_if(boards_.begin(), boards_.end(), forgettable));
  return board;
}

std::shared_ptr<Board> Boards::add(const OwnershipRecord& record) {
  MigrationStatus status;
  status.migration = record.migration;
  status.domain = record.domain;
  status.name = record.name;
  status.outgoing = record.side == Side::source;
  status.peer = record.peer;
  status.cipher = record.cipher;
  status.attested = record.attested;
  status.started = record.started;
  auto board = add(std::move(status));
  board->settle(record);
  return board;
}

std::shared_ptr<Board> Boards::find(const Uuid& migration) const {
  const std::lock_guard lock(mutex_);
  for (const auto& board : boards_)
    if (board->status().migration == migration) return board;
  return nullptr;
}

std::vector<MigrationStatus> Boards::list() const {
  const std::lock_guard lock(mutex_);
  std::vector<MigrationStatus> out;
  for (const auto& board : boards_) out.push_back(board->status());
  return out;
}

}  // namespace vmsec::migration
