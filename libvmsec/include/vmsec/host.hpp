// The Host: loads one backend and any number of modules, hands each module what
// the policy grants, serves operators and peers, and writes down what happened.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vmsec/backend.hpp"
#include "vmsec/control.hpp"
#include "vmsec/service/host_control.hpp"
#include "vmsec/settings.hpp"

namespace vmsec {

struct IdentityFiles {
  std::string ca;
  std::string certificate;
  std::string key;
  std::string revocations;                       // the authority's revocation list
  std::vector<std::string> placement_keys;       // public keys that may sign migration tickets
  std::vector<std::string> former_certificates;  // this host's own of before a renewal: they signed its audit log
};

// What a module's own process may take (docs/isolation.md).
struct WorkerBudget {
  Bytes memory{std::uint64_t{512} << 20};  // of its own, without what it maps of guests
  std::uint32_t cpu_percent = 0;           // of one CPU, over ten seconds; 0: as much as there is
  std::uint32_t descriptors = 1024;
  std::uint32_t threads = 256;
  std::uint32_t calls = 20'000;        // to the host, in a second
  Microseconds deadline{120'000'000};  // of a call, while the module has the turn
  // What it keeps across restarts (vmsec.Records), keys and values.
  Bytes records{std::uint64_t{16} << 20};
  std::uint32_t record_count = 4096;
  std::vector<std::uint32_t> cpus;  // of the host, which its threads run on; empty: any
};

struct HostOptions {
  std::string name = "localhost";
  std::string state_dir;  // records, audit log, spent tickets; created 0700
  std::string run_dir;    // sockets of this process; created 0700
  std::string plugin = "kvm";
  std::vector<std::string> plugin_path;  // folders searched in order; empty: the installed one
  std::vector<std::string> module_path;
  BackendOptions backend;
  std::map<std::string, Settings> modules;   // to load, each with its configuration
  std::string policy_file;                   // empty: no policy; then no module is granted anything
  bool enforce = false;                      // applies the policy's limits by itself (docs/configuration.md)
  bool trusted_without_policy = false;       // for tools of one call: modules get all that they need
  std::string trust_file;                    // the operator's trust store; empty: kOperatorTrust where it exists
  std::vector<std::string> in_process;       // modules that run in the host's own process (docs/configuration.md)
  IdentityFiles identity;                    // all empty: no peers
  std::string listen;                        // "address:port" for peers; port 0: any; empty: none
  std::map<std::string, std::string> peers;  // host name to "address:port"
  std::string control_socket;                // for serve_control()
  std::string metrics_listen;                // "address:port" for a monitoring system, by vmsecd; empty: none

  // By module: what its process may take. Those that are not named have the defaults.
  std::map<std::string, WorkerBudget> workers;
  // The audit log's files (vmsec/audit.hpp).
  Bytes audit_file_size{std::uint64_t{64} << 20};  // after which a new one begins; 0: never
  std::uint32_t audit_keep_files = 0;              // rotated ones; 0: all
  // The PCR of the host's TPM that plugin and modules are measured into before their code runs, with a
  // log at backend.module_log (empty: state_dir/modules.log). None: they are not measured.
  std::optional<std::uint32_t> module_pcr;
};

// Reads a host configuration file (docs/configuration.md). Errors name file,
// line and column.
VMSEC_EXPORT Result<HostOptions> read_host_options(const std::string& file);

// What open_host() would refuse, as far as it can be known without opening
// anything: the identity's files and how they fit (name, key, authority, mode),
// the trust stores, and that plugin and modules are there and may be loaded
// (vmsec/trust.hpp). No code of theirs runs, and their own settings are not looked
// at. Writes nothing.
VMSEC_EXPORT Status check_host_options(const HostOptions& options);

class VMSEC_EXPORT Host : public Control {
 public:
  ~Host() override;

  // Threads of their own, until the Host is destroyed.
  virtual Status serve_peers() = 0;    // on options.listen
  virtual Status serve_control() = 0;  // on options.control_socket; root and our own user only
  // Where peers reach this host, once serve_peers() has succeeded: "127.0.0.1:40213".
  [[nodiscard]] virtual std::string peer_address() const = 0;
  // Stops serving, and ends what waits.
  virtual void shut_down() = 0;
};

// Opens backend, audit log and modules, and checks the policy; on any failure
// nothing stays behind. The policy's limits are applied by apply_policy(), or by the
// host itself where options.enforce says so.
VMSEC_EXPORT Result<std::shared_ptr<Host>> open_host(HostOptions options);

}  // namespace vmsec
