// Two vmsecd processes on the simulated hypervisor, with an authority, a placement key
// and a policy: what docs/quickstart.md makes by hand.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/process.hpp"

namespace vmsec::test {

enum class Boot { unattested, measured };  // measured: a TPM each, by swtpm, filled from the log of a real boot

// Whether this machine has what Boot::measured needs.
bool has_software_tpm();

class TwoHosts {
 public:
  // web-1 is host-a's.
  explicit TwoHosts(Boot boot = Boot::unattested);
  ~TwoHosts();
  TwoHosts(const TwoHosts&) = delete;
  TwoHosts& operator=(const TwoHosts&) = delete;

  TempDir folder;

  // host-b listens first, at a port of its own; host-a reaches it.
  void start();
  void start(const std::string& host);
  void kill(const std::string& host);

  [[nodiscard]] Ran text(const std::string& host, std::vector<std::string> command) const;
  [[nodiscard]] nlohmann::json json(const std::string& host, std::vector<std::string> command, int code = 0) const;
  // A file with a ticket for web-1 from host-a to host-b.
  std::string ticket();
  [[nodiscard]] std::string log(const std::string& host) const { return read_file(folder / (host + ".log")); }

 private:
  void write_config(const std::string& host, const std::string& peer, const std::string& address);
  void boot_tpm(const std::string& host) const;

  Boot boot_;
  int tickets_ = 0;
  std::map<std::string, std::unique_ptr<Background>> agents_;
};

}  // namespace vmsec::test
