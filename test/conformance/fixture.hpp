// Two hosts of one plugin in this process, with the domains that the checks use.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "suite.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/host.hpp"

namespace vmsec::conformance {

struct HostSetup {
  std::string uri;
  std::string tcti;
  std::string event_log;
  std::map<std::string, std::string> settings;
};

// Of what the checks of Interchange make domains on host a: all of it is there, and free for them.
struct NewDomains {
  std::vector<std::string> disks;  // two: raw images, or block devices
  std::string kernel;
  std::string initrd;
  std::string command_line;
  std::string bridge;
  std::uint64_t memory_mib = 64;
};

struct Setup {
  std::string plugin;
  std::string plugin_path;
  std::string module_path;
  std::string domain;  // runs on host a; has one vCPU of two, which it uses, a disk that it reads, and may have a NIC
  std::string disk;    // target
  std::string nic;     // target; empty: none
  std::string traveller;  // runs on host a with one vCPU of two; is migrated to host b
  NewDomains fresh;
  HostSetup a;
  HostSetup b;
};

// A file whose code takes part in the run.
struct Binary {
  std::string kind;  // "module", "plugin"
  std::string name;
  std::string digest;  // SHA-256, hexadecimal
};

class Fixture {
 public:
  // Makes identities, and opens both hosts with all modules. The folder is removed at the end.
  static Result<std::unique_ptr<Fixture>> open(const Setup& setup);
  ~Fixture();

  const Setup& setup() const { return setup_; }
  Control& host() { return *a_; }
  // What only says yes: until the next mute(), this method ("vmsec.IoControl.SetDisk") of what
  // open_a() and open_b() gave answers an empty reply without being called. "" mutes none.
  void mute(const std::string& method) { *muted_ = method; }
  // The interfaces that the suite asks for: faces.cpp.
  template <class I>
  std::unique_ptr<I> open_a();
  template <class I>
  std::unique_ptr<I> open_b();
  template <class I>
  std::unique_ptr<I> module_of_a(const std::string& module);
  // The module and plugin files that run here, the same for both hosts.
  Result<std::vector<Binary>> binaries();
  Result<Uuid> find(const std::string& name);
  Result<Uuid> domain() { return find(setup_.domain); }
  // One that the domain may be pinned to: a host may keep CPUs for others.
  Result<std::uint32_t> usable_cpu();
  // An encoded ticket for the traveller from a to b; or one that `spoil` has changed.
  Result<std::string> ticket(const Uuid& domain, const std::string& destination = "conformance-b");

 private:
  explicit Fixture(Setup setup) : setup_(std::move(setup)) {}
  Status make_identities();
  Status trust_in_process();
  Result<std::shared_ptr<Host>> open_host(const std::string& name, const HostSetup& setup);

  Setup setup_;
  std::filesystem::path folder_;
  std::shared_ptr<Host> a_;
  std::shared_ptr<Host> b_;
  std::shared_ptr<Control> face_a_;  // of a_ and b_, where methods can be muted
  std::shared_ptr<Control> face_b_;
  std::shared_ptr<std::string> muted_ = std::make_shared<std::string>();
  std::string address_b_;
};

// A domain that nobody has.
Uuid stranger();

// Limits that are refused with this code, and change nothing.
Outcome refused(Fixture& fixture, const ResourceLimits& limits, Code code);

// Waits for a condition; the limit only says that it will never come.
template <class Condition>
bool wait_until(Condition&& condition, std::chrono::seconds limit = std::chrono::seconds(30));

}  // namespace vmsec::conformance

#include <thread>

template <class Condition>
bool vmsec::conformance::wait_until(Condition&& condition, std::chrono::seconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}
