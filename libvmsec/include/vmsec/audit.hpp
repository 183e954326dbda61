// The audit log: one JSON line per record, hash-chained, with checkpoints that
// the host's key signs. People read it, `vmsec audit verify` checks it offline.
//
// What it proves. To anybody without the host's private key: no record up to the
// last checkpoint of the file was changed, inserted, removed or reordered.
// What it cannot show, and how far that goes:
//  - Records after the last checkpoint: whoever can write the file can cut or
//    forge those; at most AuditOptions::checkpoint_every of them. An orderly close
//    writes a checkpoint: `AuditReport::unsigned_records` says how many are open.
//    After a crash the next open() signs them as it finds them.
//  - A file cut back to an earlier checkpoint. The newest checkpoint is also kept
//    in audit.head beside the log, so cutting the log alone is found; restoring an
//    older copy of both is found only by an anchor kept elsewhere (another host,
//    the control plane): note AuditReport::anchor, give it to the next verify.
//  - Whoever holds the host's key can write a new history after the last anchor.
//
// When the disk is full, or the log cannot be written for any other reason, an
// append answers an error and the act that it records must not happen; the bytes
// that it wrote by then are taken back. A torn line (a crash in mid-write) is never
// cut: the next append ends it and adds a record of kind `torn` that names its
// length and digest.
//
// A log that reaches AuditOptions::file_size is signed to its end and becomes
// audit.log.NUMBER, the number of its first record; audit.log begins anew and goes on
// with the same chain. So a rotated file that was changed, removed or put back breaks
// the chain. Where AuditOptions::keep_files has old files removed, a record of kind
// `begin` tells first, signed, with which record the log begins from then on: what is
// missing beyond that was removed by somebody else. While a rotation fails, so do appends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/identity.hpp"
#include "vmsec/result.hpp"
#include "vmsec/service/journal.hpp"
#include "vmsec/types.hpp"

namespace vmsec {

enum class AuditKind { act, checkpoint, torn, begin };

struct AuditRecord {
  std::uint64_t sequence = 0;  // 1, 2, 3, ... over all kinds
  Microseconds time;           // since 1970, UTC
  AuditKind kind = AuditKind::act;
  std::string host;
  std::string module;            // acts: the module, or "core"
  AuditEntry entry;              // acts
  std::string key;               // checkpoints: digest of the signing key
  std::string signature;         // checkpoints
  std::uint64_t torn_bytes = 0;  // torn: length and SHA-256 of the bytes before this record
  std::string torn_digest;
  std::uint64_t first = 0;   // begin: the number of the first record that is kept
  std::string before_first;  // begin: the hash of the record before that one
  std::string previous;      // the previous record's hash; of the first: 32 zero bytes
  std::string hash;
};

// "2026-08-25T12:00:00.000001Z"
VMSEC_EXPORT std::string audit_time(Microseconds since_1970);
// The line of a record, without its newline, as it stands in the file.
VMSEC_EXPORT std::string audit_line(const AuditRecord& record);
// Strict: exactly what audit_line() writes, and the hash must fit the line.
// `invalid_argument` names the place; `tampered`: the hash does not fit.
VMSEC_EXPORT Result<AuditRecord> parse_audit_line(std::string_view line);

struct AuditOptions {
  std::uint32_t checkpoint_every = 16;                // records; 1 to 4096
  std::function<Microseconds()> clock = {};           // since 1970; empty: the system's
  std::vector<PublicKey> former_keys = {};            // that may have signed the log's last checkpoint
  std::uint64_t file_size = std::uint64_t{64} << 20;  // bytes, after which a new file begins; 0: never
  std::uint32_t keep_files = 0;                       // rotated ones; the oldest beyond are removed. 0: none is
};

inline constexpr std::size_t kMaxAuditDetail = 8192;  // a longer detail is cut, and says so

// <dir>/audit.log. Threads and processes may append to the same log at once
// (they take turns by flock on the file).
class VMSEC_EXPORT AuditLog {
 public:
  // Creates the log (mode 0600; the folder must exist) or goes on with the one
  // that is there, after checking it: its whole chain, the last checkpoint's
  // signature, audit.head, and that no more is unsigned than checkpoint_every
  // leaves. `tampered` where that fails, `untrusted` where another key signed it;
  // an operator then verifies the log and moves it away, with its rotated files and audit.head. So a host
  // with a new key begins a new log, unless former_keys names the old one: then the
  // log goes on, and the first thing written is a checkpoint by the new key.
  static Result<std::unique_ptr<AuditLog>> open(const std::filesystem::path& dir, const HostIdentity& identity,
                                                const AuditOptions& options = {});
  ~AuditLog();  // closes, if close() was not called
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // On the disk when it answers with the record's sequence. After an error the
  // act must not happen; the record may be in the log nevertheless.
  Result<std::uint64_t> append(std::string_view module, const AuditEntry& entry);

  // A checkpoint now, if any record is unsigned.
  Status checkpoint();
  // A last checkpoint; append() then answers `wrong_state`.
  Status close();

  [[nodiscard]] const std::filesystem::path& path() const;

 private:
  struct Impl;
  explicit AuditLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A place in a log that somebody else remembers.
struct AuditAnchor {
  std::uint64_t sequence = 0;
  std::string hash;  // 32 bytes
};

struct AuditReport {
  std::uint64_t records = 0;           // all kinds
  std::uint64_t checkpoints = 0;       // with a good signature
  std::uint64_t torn = 0;              // torn lines, each with its record
  std::uint64_t unsigned_records = 0;  // after the last checkpoint
  AuditAnchor anchor;                  // the last checkpoint
  bool head_checked = false;           // audit.head was there, and fits
  std::uint64_t files = 0;             // the log's, rotated ones too
  std::uint64_t first = 0;             // number of the first record
  // The first thing that is wrong; line 0: nothing is.
  std::uint64_t bad_line = 0;
  std::string bad_file;  // that it is in
  std::string cause;
  [[nodiscard]] bool good() const { return bad_line == 0; }
};

// audit.head beside the log. Without it and without an anchor nobody can tell a log
// that was cut back to an earlier checkpoint from a whole one: that is bad, unless
// the caller knows that he has a copy of the log alone.
enum class AuditHead { wanted, may_be_absent };

// A log's rotated files beside it, the oldest first.
VMSEC_EXPORT std::vector<std::filesystem::path> rotated_audit_files(const std::filesystem::path& log);

// Offline: follows the chain over the rotated files too. Needs the log and the public keys (or certificates) of the
// host, the older ones too if its key was changed. A checkpoint by any other key is bad. An error means that the log
// could not be read; a bad log is a report.
VMSEC_EXPORT Result<AuditReport> verify_audit(const std::filesystem::path& log, const std::vector<PublicKey>& keys,
                                              const std::optional<AuditAnchor>& anchor = {},
                                              AuditHead head = AuditHead::wanted);

// What to read; empty fields match everything.
struct AuditFilter {
  std::optional<Uuid> domain;
  std::string module;
  std::string action;  // this one, or those below it: "migration" matches "migration.commit"
  std::optional<Outcome> outcome;
  std::optional<Microseconds> since;
  std::optional<AuditKind> kind = AuditKind::act;
  std::size_t limit = 1000;  // the newest ones, in the log's order; 0: no limit
};

// Of the rotated files too. Checks each line, not the signatures: `tampered` or `invalid_argument` with the
// line's number. A torn line without its record is left out.
VMSEC_EXPORT Result<std::vector<AuditRecord>> read_audit(const std::filesystem::path& log,
                                                         const AuditFilter& filter = {});

}  // namespace vmsec
