#include <sys/file.h>
#include <sys/stat.h>

#include <chrono>
#include <mutex>
#include <optional>

#include "audit/chain.hpp"
#include "audit/line.hpp"
#include "audit/rotated.hpp"
#include "audit/text.hpp"
#include "identity/files.hpp"
#include "identity/openssl.hpp"

namespace vmsec {
namespace fs = std::filesystem;

namespace {

// Records that mending after crashes may add to an unsigned end.
constexpr std::uint64_t kRecoveryRecords = 8;

Microseconds system_microseconds() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count())};
}

// flock() for as long as it lives. It belongs to the open file: two AuditLogs
// exclude each other even within one process.
class Turn {
 public:
  static Result<Turn> take(int fd) {
    while (::flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) return fail(errno_error("lock audit log"));
    }
    return Turn(fd);
  }
  Turn(Turn&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Turn& operator=(Turn&& other) noexcept {
    give_up();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Turn() { give_up(); }

 private:
  explicit Turn(int fd) : fd_(fd) {}
  void give_up() const {
    if (fd_ >= 0) ::flock(fd_, LOCK_UN);
  }
  int fd_;
};

}  // namespace

struct AuditLog::Impl {
  Impl(fs::path log, HostIdentity host, AuditOptions wanted)
      : path(std::move(log)), identity(std::move(host)), options(std::move(wanted)) {}

  fs::path path;
  HostIdentity identity;
  AuditOptions options;
  Fd fd;
  audit::Chain chain;
  std::mutex mutex;
  bool closed = false;
  // A file's first record, or the one that it waits for. All files of the log, the oldest first; the last is its
  // newest. Of the folder nothing is believed: who may write there has not always the key.
  struct Piece {
    std::uint64_t first = 1;
    std::string previous;
  };
  std::vector<Piece> pieces;
  bool surplus = false;  // there may be more rotated files than are kept
  bool broken = false;   // what is on the disk is not known: a new open() finds out

  Status open_file();
  Result<Turn> take_turn();
  Status follow_rotation();
  Status rotate_if_full(Turn& turn);
  Status rotate(Turn& turn);
  Status remove_oldest();
  Status catch_up();
  Status check_file() const;
  Status adopt();
  Status check_head(const std::optional<AuditRecord>& head, bool head_seen) const;
  Status check_last_checkpoint(const std::optional<AuditRecord>& last) const;
  Microseconds now() const;
  Status write(std::string_view bytes);
  Status write_record(AuditRecord record, std::string_view before = {});
  Status mend(audit::Tail tail);
  Status write_torn();
  void begin_piece();
  Status write_checkpoint();
  Status write_signed(AuditRecord record);
  Status sign_rest();
  Status usable() const;
  Status checkpoint();
};

Status AuditLog::Impl::open_file() {
  fd = Fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return fail(errno_error("open"));
  return identity::sync_folder(path.parent_path());
}

// Whoever has the turn is alone with the log's newest file: another process may have rotated it meanwhile.
Result<Turn> AuditLog::Impl::take_turn() {
  while (true) {
    {
      VMSEC_TRY(Turn turn, Turn::take(fd.get()));
      if (!audit::is_same_file(audit::rotated_file(path, chain.file_first), fd.get())) return turn;
    }
    VMSEC_CHECK(follow_rotation());
  }
}

// To the file that comes next: a rotated one, where several came meanwhile, else the log's own.
Status AuditLog::Impl::follow_rotation() {
  VMSEC_TRY(const audit::Tail tail, chain.walk(fd.get(), [](const AuditRecord&) -> Status { return {}; }));
  if (tail != audit::Tail::clean) return fail(Code::tampered, "its rotated file does not end with a record");
  chain.begin_file();
  begin_piece();
  const fs::path rotated = audit::rotated_file(path, chain.file_first);
  std::error_code ignored;
  const fs::path& next = fs::exists(rotated, ignored) ? rotated : path;
  fd = Fd(::open(next.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW));
  return fd.valid() ? Status() : fail(errno_error("open " + next.filename().string()));
}

// The file is still ours: nobody moved, cut or replaced it under our hands.
Status AuditLog::Impl::check_file() const {
  struct stat ours{};
  struct stat there{};
  if (::fstat(fd.get(), &ours) != 0) return fail(errno_error("look at it"));
  if (::stat(path.c_str(), &there) != 0 || ours.st_ino != there.st_ino || ours.st_dev != there.st_dev)
    return fail(Code::tampered, "the file was moved or removed while it was in use");
  if (static_cast<std::uint64_t>(ours.st_size) < chain.end)
    return fail(Code::tampered, "the file was cut while it was in use");
  return {};
}

// Whoever cut the log back would have us sign what he put there instead.
Status AuditLog::Impl::check_head(const std::optional<AuditRecord>& head, bool head_seen) const {
  if (head && !head_seen)
    return fail(Code::tampered, "it does not hold record " + std::to_string(head->sequence) +
                                    ", of which audit.head tells: it was cut back or rewritten");
  // A crash right after the very first checkpoint is all that leaves a log without a head.
  if (!head && chain.sequence > 1) return fail(Code::tampered, "audit.head is missing");
  const std::uint64_t most = options.checkpoint_every + kRecoveryRecords;
  if (chain.unsigned_records > most)
    return fail(Code::tampered, std::to_string(chain.unsigned_records) +
                                    " records at its end are unsigned, more than a checkpoint every " +
                                    std::to_string(options.checkpoint_every) + " leaves (was that lowered?)");
  return {};
}

Status AuditLog::Impl::check_last_checkpoint(const std::optional<AuditRecord>& last) const {
  if (!last) return {};
  std::vector<PublicKey> keys = options.former_keys;
  keys.push_back(identity.public_key());
  for (const auto& key : keys) {
    if (!identity::equal_digests(key.digest(), last->key)) continue;
    const Status good = key.verify(audit::kCheckpointLabel, audit::signed_part(*last), last->signature);
    return good ? good : fail(good.error().in("checkpoint " + std::to_string(last->sequence)));
  }
  return fail(Code::untrusted,
              "its last checkpoint was signed by another key than this host's. If its certificate was renewed, name "
              "the former one in identity.former_certificates of vmsecd.toml. Else keep audit.log and audit.head as "
              "evidence: with both, and audit.log.NUMBER, moved away a new log begins");
}

Microseconds AuditLog::Impl::now() const {
  constexpr Microseconds kYear9999{253'402'300'799'000'000};  // four digits are what a line has room for
  return std::min(options.clock(), kYear9999);
}

Status AuditLog::Impl::write(std::string_view bytes) {
  struct stat before{};
  if (::fstat(fd.get(), &before) != 0) return fail(errno_error("look at it"));
  const Status written = identity::write_all(fd.get(), bytes, "write");
  if (!written) {
    // These bytes are of this very call and nobody has had an answer: taken back.
    if (::ftruncate(fd.get(), before.st_size) != 0) broken = true;
    return written;
  }
  if (::fdatasync(fd.get()) == 0) return {};
  broken = true;
  return fail(errno_error("write to disk"));
}

Status AuditLog::Impl::write_record(AuditRecord record, std::string_view before) {
  record.host = identity.name();
  audit::seal(record);
  const std::string bytes = std::string(before) + audit_line(record) + "\n";
  const std::uint64_t start = chain.end + chain.torn.size();
  VMSEC_CHECK(write(bytes));
  chain.accept(record, start + bytes.size());
  return {};
}

// Ends the torn line, and tells of it: nothing is cut off.
Status AuditLog::Impl::write_torn() {
  const bool ended = chain.torn.ends_with('\n');
  AuditRecord record = chain.next(AuditKind::torn);
  const std::string bytes = chain.torn + (ended ? "" : "\n");
  record.time = now();
  record.torn_bytes = bytes.size();
  record.torn_digest = identity::sha256(bytes);
  return write_record(std::move(record), ended ? "" : "\n");
}

// A file has begun: its first record continues the chain.
void AuditLog::Impl::begin_piece() {
  if (pieces.empty() || pieces.back().first != chain.file_first) pieces.push_back({chain.file_first, chain.hash});
}

// What is told of removed records counts by the checkpoint behind it. One that somebody else wrote, or a crash left,
// gets something between.
Status AuditLog::Impl::write_checkpoint() {
  if (chain.tells_of_removed()) {
    AuditRecord stop = chain.next(AuditKind::act);
    stop.time = now();
    stop.module = "core";
    stop.entry = {"audit.begin",
                  Outcome::refused,
                  {},
                  {},
                  "the record before was not written in this turn: it counts for nothing"};
    VMSEC_CHECK(write_record(std::move(stop)));
  }
  return write_signed(chain.next(AuditKind::checkpoint));
}

Status AuditLog::Impl::write_signed(AuditRecord record) {
  record.time = now();
  record.host = identity.name();
  record.key = identity.key_digest();
  VMSEC_TRY(record.signature, identity.sign(audit::kCheckpointLabel, audit::signed_part(record)));
  VMSEC_CHECK(write_record(record));
  audit::seal(record);
  return identity::replace_file(audit::head_file(path), audit_line(record) + "\n", 0600);
}

Status AuditLog::Impl::sign_rest() {
  if (chain.unsigned_records == 0 && chain.sequence > 0) return {};
  return write_checkpoint();
}

Status AuditLog::Impl::usable() const {
  if (closed) return fail(Code::wrong_state, "it was closed");
  if (broken) return fail(Code::io, "an earlier write did not reach the disk: open it anew");
  return {};
}

Status AuditLog::Impl::checkpoint() {
  const auto write = [&]() -> Status {
    VMSEC_CHECK(usable());
    VMSEC_TRY(const auto turn, take_turn());
    VMSEC_CHECK(catch_up());
    return sign_rest();
  };
  const Status written = write();
  return written ? written : fail(written.error().in("sign audit log " + path.string()));
}

Status AuditLog::Impl::rotate_if_full(Turn& turn) {
  const bool full = options.file_size != 0 && chain.end >= options.file_size && chain.sequence > 0;
  Status done = full ? rotate(turn) : Status();
  if (done && surplus) done = remove_oldest();
  return done ? done : fail(done.error().in("rotate it"));
}

// The new file is there before the old one is renamed: where there is no room for it, nothing
// has changed. Who waits for the old file's turn finds the new one. A crash between the two renames leaves no
// audit.log: the next open() makes it, and goes on with the chain.
Status AuditLog::Impl::rotate(Turn& turn) {
  VMSEC_CHECK(sign_rest());
  const fs::path fresh = path.string() + ".new";
  std::error_code ignored;
  fs::remove(fresh, ignored);
  Fd next(::open(fresh.c_str(), O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!next.valid()) return fail(errno_error("make the next file"));
  VMSEC_TRY(Turn next_turn, Turn::take(next.get()));
  const fs::path old = audit::rotated_file(path, chain.file_first);
  if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, old.c_str(), RENAME_NOREPLACE) != 0)
    return fail(errno_error("rename it to " + old.filename().string()));
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const Status failed = fail(errno_error("put the next file in its place"));
    if (::rename(old.c_str(), path.c_str()) != 0) broken = true;
    return failed;
  }
  // From here on the log is the new file, whatever fails.
  turn = std::move(next_turn);
  fd = std::move(next);
  chain.begin_file();
  begin_piece();
  surplus = true;
  return identity::sync_folder(path.parent_path());
}

// Told, and signed, before they are gone. One that another process has removed is gone already.
Status AuditLog::Impl::remove_oldest() {
  const std::size_t rotated = pieces.empty() ? 0 : pieces.size() - 1;
  surplus = options.keep_files != 0 && rotated > options.keep_files;
  if (!surplus) return {};
  const auto many = static_cast<std::ptrdiff_t>(rotated - options.keep_files);
  const Piece& kept = pieces[rotated - options.keep_files];
  if (chain.told_first() < kept.first) {
    AuditRecord record = chain.next(AuditKind::begin);
    record.time = now();
    record.first = kept.first;
    record.before_first = kept.previous;
    VMSEC_CHECK(write_record(std::move(record)));
    VMSEC_CHECK(write_signed(chain.next(AuditKind::checkpoint)));
  }
  for (auto piece = pieces.begin(); piece != pieces.begin() + many; ++piece) {
    const fs::path file = audit::rotated_file(path, piece->first);
    if (::unlink(file.c_str()) != 0 && errno != ENOENT) return fail(errno_error("remove " + file.filename().string()));
  }
  pieces.erase(pieces.begin(), pieces.begin() + many);
  surplus = false;
  return {};
}

// Takes in what other processes appended, and what a crash left.
Status AuditLog::Impl::catch_up() {
  VMSEC_CHECK(check_file());
  VMSEC_TRY(const audit::Tail tail, chain.walk(fd.get(), [](const AuditRecord&) -> Status { return {}; }));
  return mend(tail);
}

Status AuditLog::Impl::mend(audit::Tail tail) {
  if (tail == audit::Tail::clean) return {};
  if (tail == audit::Tail::torn) return write_torn();
  const Status ended = write("\n");
  if (!ended) broken = true;  // the chain counts the newline already
  return ended;
}

// Opens the file, and takes the log over only where all of it is what was written.
Status AuditLog::Impl::adopt() {
  // Another process may rotate it between the two: only the file of this name goes on.
  std::optional<Turn> turn;
  do {
    turn.reset();
    VMSEC_CHECK(open_file());
    VMSEC_TRY(turn, Turn::take(fd.get()));
  } while (!audit::is_same_file(path, fd.get()));
  VMSEC_TRY(const auto head, audit::read_head(path));
  bool head_seen = false;
  std::optional<AuditRecord> last;
  const auto visit = [&](const AuditRecord& record) -> Status {
    if (pieces.empty() || record.sequence == chain.file_first) pieces.push_back({record.sequence, record.previous});
    if (head && record.sequence == head->sequence) head_seen = identity::equal_digests(record.hash, head->hash);
    if (record.kind == AuditKind::checkpoint) last = record;
    return {};
  };
  fs::path ignored;
  chain.begins_late();
  VMSEC_CHECK(audit::walk_rotated(path, chain, visit, ignored));
  VMSEC_TRY(const audit::Tail tail, chain.walk(fd.get(), visit));
  VMSEC_CHECK(chain.check_begin());
  begin_piece();
  if (chain.sequence > 0 && chain.host != identity.name())
    return fail(Code::wrong_state, "it is " + chain.host + "'s, not " + identity.name() + "'s");
  VMSEC_CHECK(check_head(head, head_seen));
  VMSEC_CHECK(check_last_checkpoint(last));
  VMSEC_CHECK(mend(tail));
  // From here on the new key alone opens the log.
  const bool renewed = last && !identity::equal_digests(last->key, identity.key_digest());
  return renewed ? write_checkpoint() : sign_rest();
}

Result<std::unique_ptr<AuditLog>> AuditLog::open(const fs::path& dir, const HostIdentity& identity,
                                                 const AuditOptions& options) {
  if (options.checkpoint_every < 1 || options.checkpoint_every > 4096)
    return fail(Code::invalid_argument, "open audit log: a checkpoint every " +
                                            std::to_string(options.checkpoint_every) + " records: want 1 to 4096");
  constexpr std::uint64_t kSmallest = 4096;
  if (options.file_size != 0 && options.file_size < kSmallest)
    return fail(Code::invalid_argument, "open audit log: files of " + std::to_string(options.file_size) +
                                            " bytes: want " + std::to_string(kSmallest) + " or more, or 0");
  auto impl = std::make_unique<Impl>(dir / "audit.log", identity, options);
  if (!impl->options.clock) impl->options.clock = system_microseconds;
  const Status begun = impl->adopt();
  if (!begun) return fail(begun.error().in("open audit log " + impl->path.string()));
  return std::unique_ptr<AuditLog>(new AuditLog(std::move(impl)));
}

AuditLog::AuditLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AuditLog::~AuditLog() { static_cast<void>(close()); }

Result<std::uint64_t> AuditLog::append(std::string_view module, const AuditEntry& entry) {
  const std::lock_guard lock(impl_->mutex);
  std::uint64_t sequence = 0;
  const auto write = [&]() -> Status {
    VMSEC_CHECK(impl_->usable());
    VMSEC_TRY(auto turn, impl_->take_turn());
    VMSEC_CHECK(impl_->catch_up());
    VMSEC_CHECK(impl_->rotate_if_full(turn));
    // One that is overdue (it failed after the last record) comes first: the
    // bound on unsigned records holds always.
    if (impl_->chain.unsigned_records >= impl_->options.checkpoint_every) VMSEC_CHECK(impl_->write_checkpoint());
    AuditRecord record = impl_->chain.next(AuditKind::act);
    record.time = impl_->now();
    record.module = audit::clean_text(module, 64);
    record.entry = audit::clean_entry(entry);
    VMSEC_CHECK(impl_->write_record(std::move(record)));
    sequence = impl_->chain.sequence;
    // The record is safe whatever becomes of the checkpoint: the next append sees to it.
    if (impl_->chain.unsigned_records >= impl_->options.checkpoint_every) static_cast<void>(impl_->write_checkpoint());
    return {};
  };
  const Status written = write();
  if (!written) return fail(written.error().in("append to audit log " + impl_->path.string()));
  return sequence;
}

Status AuditLog::checkpoint() {
  const std::lock_guard lock(impl_->mutex);
  return impl_->checkpoint();
}

Status AuditLog::close() {
  const std::lock_guard lock(impl_->mutex);
  if (impl_->closed) return {};
  const Status signed_off = impl_->checkpoint();
  impl_->closed = true;
  return signed_off;
}

const fs::path& AuditLog::path() const { return impl_->path; }

}  // namespace vmsec
