// Many enrolled hosts, each with keys of its own, and what some of them send when they are asked.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "enrolments.hpp"
#include "input.hpp"

namespace vmsec::bench {

// Stands for the core's store, which is on the disk and in another process.
class MemoryRecords final : public Records {
 public:
  Result<Empty> put(const Record& record) override;
  Result<Record> get(const RecordKey& key) override;
  Result<Empty> remove(const RecordKey& key) override;
  Result<RecordList> list(const RecordKey& prefix) override;
  [[nodiscard]] std::size_t bytes() const;

 private:
  std::map<std::string, std::string> records_;
};

class SilentJournal final : public Journal {
 public:
  Result<Empty> audit(const AuditEntry&) override { return Empty{}; }
  Result<Empty> log(const LogLine&) override { return Empty{}; }
};

struct Answer {
  std::string host;
  std::string message;  // vmsec.measured_boot.Evidence, as it comes from the host
};

// The verifier's side of a fleet.
class Hosts {
 public:
  // So many hosts with ECC attestation keys and RSA endorsement keys; the first `answering` of them have signed the
  // input's quote by their own keys.
  static Result<std::unique_ptr<Hosts>> make(std::size_t count, std::size_t answering, const Input& input);

  [[nodiscard]] const std::vector<Answer>& answers() const { return answers_; }
  [[nodiscard]] std::size_t record_bytes() const { return records_.bytes(); }
  boot::Enrolments& enrolments() { return enrolments_; }
  // Looks up each host once.
  Status find_all();

 private:
  Status add(std::size_t number, bool answers, const Input& input);

  MemoryRecords records_;
  SilentJournal journal_;
  boot::Enrolments enrolments_{records_, journal_};
  std::vector<std::string> names_;
  std::vector<Answer> answers_;
};

}  // namespace vmsec::bench
