// Hosts in this process, each with a TPM and the module, that reach each other
// over connections that have a binding as the core's have.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "evidence/event_logs.hpp"
#include "measured_boot.hpp"
#include "swtpm.hpp"

namespace vmsec::boot::test {

// What a host keeps, and what it has told its operator.
struct Store {
  std::map<std::string, std::string> records;
  std::vector<AuditEntry> audit;
  std::vector<LogLine> log;
  bool audit_fails = false;
};

class Network;

struct Host {
  std::string name;
  Swtpm tpm;
  std::string event_log = ovmf_log();
  std::string ima_list;
  std::string module_log;
  std::unique_ptr<Error> no_evidence;                             // what BootEvidence answers, where set
  std::function<Result<GuestReply>(const GuestRequest&)> guests;  // the agents in this host's guests
  Store store;
  SteadyTime now{};
  std::unique_ptr<MeasuredBoot> module;

  Attestation& attestation() { return module->attestation(); }
  [[nodiscard]] const AuditEntry& last_audit() const { return store.audit.back(); }
};

// How one connection ends up: two hosts and the 32 bytes that only they share.
struct Line {
  std::string from;
  std::string to;
  std::string binding;
};

class Network {
 public:
  // With a TPM that has booted the log of a real boot.
  Host& add(const std::string& name, Config config = {});
  // As after a restart of its agent: memory gone, records kept.
  void restart(Host& host, Config config = {});

  Host& host(const std::string& name) { return *hosts_.at(name); }
  std::uint64_t connect(const std::string& from, const std::string& to);
  PeerContext context(std::uint64_t connection, const std::string& seen_from) const;
  Line& line(std::uint64_t connection) { return lines_.at(connection); }
  [[nodiscard]] std::size_t open_lines() const { return lines_.size(); }
  void close(std::uint64_t connection) { lines_.erase(connection); }
  Result<PeerReply> deliver(const std::string& from, const CallPeer& call);

  std::set<std::string> refused;  // nobody listens there
  std::set<std::string> forged;   // somebody else does
  // Stands between the hosts: sees each request, and may answer in the host's place.
  std::function<std::optional<Result<PeerReply>>(const CallPeer&)> instead;
  // Sees each answer, and may change it.
  std::function<void(std::uint32_t method, Result<PeerReply>&)> afterwards;

 private:
  std::map<std::string, std::unique_ptr<Host>> hosts_;
  std::map<std::uint64_t, Line> lines_;
  std::uint64_t last_ = 0;
};

}  // namespace vmsec::boot::test
