// Walks a log's lines and checks that they are one chain.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "vmsec/audit.hpp"

namespace vmsec::audit {

// What a crash may leave at most: a few lines, none of them a record.
inline constexpr std::size_t kMaxTorn = 256 << 10;

enum class Tail {
  clean,
  unended,  // the last record lacks only its newline
  torn,     // bytes that are no record: Chain::torn
};

class Chain {
 public:
  // Called for each record that fits; an error of it ends the walk.
  using Visit = std::function<Status(const AuditRecord&)>;

  // Goes on from where the last walk ended, to the file's end. `tampered` (or the
  // visitor's error) with bad_line() set; `io`.
  Result<Tail> walk(int fd, const Visit& visit);
  // Takes a record that was written at the end just now.
  void accept(const AuditRecord& record, std::uint64_t end);
  // The next walk reads the file that follows: the end of this one is behind us.
  void begin_file();
  // A log's first file may begin later than with record 1, where older ones were removed.
  void begins_late() { late_ = true; }
  // Whether it begins where a signed record tells. `tampered`: files are missing.
  [[nodiscard]] Status check_begin() const;
  // With which record the log begins, as the last signed record says.
  [[nodiscard]] std::uint64_t told_first() const { return told_.first; }
  // A checkpoint that came now would make what the last record tells of removed ones count.
  [[nodiscard]] bool tells_of_removed() const { return telling_.has_value(); }
  // The record that continues the chain: sequence and previous hash are set.
  [[nodiscard]] AuditRecord next(AuditKind kind) const;

  std::uint64_t sequence = 0;
  std::string hash = std::string(32, '\0');
  std::string host;  // of all records
  std::uint64_t unsigned_records = 0;
  std::uint64_t end = 0;         // offset behind the last record that fits
  std::uint64_t first = 0;       // number of the first record of all files
  std::uint64_t file_first = 1;  // and of this one
  std::string torn;              // bytes behind it that are no record
  [[nodiscard]] std::uint64_t bad_line() const { return bad_line_; }
  [[nodiscard]] std::uint64_t lines() const { return line_; }
  [[nodiscard]] std::uint64_t torn_line() const { return torn_line_; }

 private:
  std::unexpected<Error> bad(std::uint64_t line, std::string cause, Code code = Code::tampered);
  Status take(std::string_view line, std::uint64_t end_of_line, const Visit& visit);
  Status check_link(const AuditRecord& record) const;
  Result<Tail> take_tail(std::string_view rest, const Visit& visit);

  std::uint64_t line_ = 0;       // lines seen, those of `torn` too
  std::uint64_t torn_line_ = 0;  // the first of them
  std::string torn_cause_;       // why that one is no record
  std::uint64_t bad_line_ = 0;
  // What a `begin` record tells counts once a checkpoint follows it at once: who signs it has written it.
  struct Begin {
    std::uint64_t first = 1;
    std::string before = std::string(32, '\0');
  };
  bool late_ = false;
  std::string before_first_;
  Begin told_;
  std::optional<Begin> telling_;
};

}  // namespace vmsec::audit
