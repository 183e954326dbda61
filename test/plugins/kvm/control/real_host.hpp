// One real libvirt host and a guest on it.
//
//   VMSEC_TEST_KVM_URI       the host ("qemu:///system?socket=...")
//   VMSEC_TEST_KVM_KERNEL    test/testbed/guest's flat.elf
//   VMSEC_TEST_KVM_RUN_DIR   libvirt's folder of QEMU's pid files, as this process sees it
//   VMSEC_TEST_KVM_KILL      a command that kills the host's libvirtd by SIGKILL
//   VMSEC_TEST_KVM_START     a command that starts it again
#pragma once

#include <libvirt/libvirt.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>

#include "context.hpp"

namespace vmsec::kvm::test {

inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

inline bool have(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (!environment(name).empty()) continue;
    WARN("SKIPPED, nothing is shown: " << name << " is not set");
    return false;
  }
  return true;
}
inline bool have_host() { return have({"VMSEC_TEST_KVM_URI", "VMSEC_TEST_KVM_KERNEL"}); }

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(to_string(result.error().code) << ": " << result.error().message);
  return std::move(*result);
}

template <class T>
Error refusal(Result<T> result) {
  REQUIRE_FALSE(result);
  return std::move(result).error();
}

inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  return false;
}

struct Host {
  Host() : context(std::make_shared<Context>()) {
    context->options.uri = environment("VMSEC_TEST_KVM_URI");
    const std::string run_dir = environment("VMSEC_TEST_KVM_RUN_DIR");
    if (!run_dir.empty()) context->options.settings["libvirt_run_dir"] = run_dir;
    context->connection = must(Connection::open(context->options.uri));
    domains = must(make_domain_control(context));
    resources = must(make_resource_control(context));
    io = must(make_io_control(context));
    memory = must(make_memory_access(context));
    events = must(make_events(context));
    interchange = must(make_interchange(context));
  }
  std::shared_ptr<Context> context;
  std::unique_ptr<DomainControl> domains;
  std::unique_ptr<ResourceControl> resources;
  std::unique_ptr<IoControl> io;
  std::unique_ptr<MemoryAccess> memory;
  std::unique_ptr<Events> events;
  std::unique_ptr<Interchange> interchange;
};

struct GuestPlan {
  std::string name;
  std::string command_line = "verify=0";
  int memory_mib = 64;
  int vcpus = 1;
  int vcpus_maximum = 0;  // 0: as many
  std::string machine = "pc-i440fx-7.2";
  std::string devices;   // more XML
  std::string metadata;  // more XML
  bool memory_file = true;
  bool persistent = false;
};

// A domain that lives as long as this object.
class Guest {
 public:
  Guest(Host& host, const GuestPlan& plan) {
    const auto lease = must(host.context->connection->lease());
    const std::string name = "kc-" + std::to_string(getpid()) + "-" + plan.name;
    const std::string xml =
        "<domain type='qemu'><name>" + name + "</name>" + plan.metadata + "<memory unit='MiB'>" +
        std::to_string(plan.memory_mib) + "</memory>" +
        (plan.memory_file ? "<memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>" : "") +
        "<vcpu current='" + std::to_string(plan.vcpus) + "'>" +
        std::to_string(std::max(plan.vcpus, plan.vcpus_maximum)) + "</vcpu><os><type arch='x86_64' machine='" +
        plan.machine + "'>hvm</type><kernel>" + environment("VMSEC_TEST_KVM_KERNEL") + "</kernel><cmdline>" +
        plan.command_line +
        "</cmdline></os><features><acpi/></features><devices><controller type='usb' model='none'/>" +
        "<memballoon model='none'/>" + plan.devices + "</devices></domain>";
    if (plan.persistent) {
      domain_.reset(virDomainDefineXML(lease.get(), xml.c_str()));
      if (domain_ == nullptr || virDomainCreate(domain_.get()) < 0) FAIL(virt_error("start a guest").message);
    } else {
      domain_.reset(virDomainCreateXML(lease.get(), xml.c_str(), 0));
      if (domain_ == nullptr) FAIL(virt_error("start a guest").message);
    }
    std::array<std::uint8_t, 16> bytes{};
    virDomainGetUUID(domain_.get(), bytes.data());
    uuid = Uuid(bytes);
    connection_ = host.context->connection;
  }
  ~Guest() {
    // By a lease of now: libvirtd may have been restarted.
    const auto domain = connection_->domain(uuid, "end a guest");
    if (!domain) return;
    virDomainDestroy(domain->get());
    virDomainUndefine(domain->get());
  }
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;

  [[nodiscard]] virDomainPtr handle() const { return domain_.get(); }
  [[nodiscard]] DomainRef ref() const { return {uuid}; }
  Uuid uuid;

 private:
  DomainPtr domain_;
  std::shared_ptr<Connection> connection_;
};

// How much `counter` grows in a second of the host's clock.
inline double per_second(double seconds, const std::function<std::uint64_t()>& counter) {
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  const std::uint64_t first = counter();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  const std::uint64_t last = counter();
  return static_cast<double>(last - first) / std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace vmsec::kvm::test
