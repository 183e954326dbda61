// Two real libvirt hosts, and the bytes between them.
//
//   VMSEC_TEST_KVM_URI_A, _B   the hosts ("qemu:///system?socket=...")
//   VMSEC_TEST_KVM_RUN_DIR_A, _B   where their libvirts keep their QEMUs' pid files
//   VMSEC_TEST_KVM_KERNEL      test/testbed/guest's flat.elf
#pragma once

#include <libvirt/libvirt.h>
#include <sys/socket.h>
#include <random>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <thread>
#include <vector>

#include "context.hpp"
#include "event_loop.hpp"

namespace vmsec::kvm::test {

inline std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

// Without hosts there is nothing to test: says so, loudly.
inline bool have_hosts() {
  for (const char* name : {"VMSEC_TEST_KVM_URI_A", "VMSEC_TEST_KVM_URI_B", "VMSEC_TEST_KVM_KERNEL"})
    if (environment(name).empty()) {
      std::cerr << "SKIPPED: migration between two libvirt hosts: " << name << " is not set\n";
      return false;
    }
  return true;
}

inline Uuid random_uuid() {
  static std::atomic<std::uint8_t> count = 0;
  std::array<std::uint8_t, 16> bytes{};
  std::random_device random;
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
  bytes[15] = ++count;
  return Uuid(bytes);
}

// Waits for a condition of the hypervisors; a test that waits in vain fails.
inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 1200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(25));
  }
  return false;
}

// One host: its capability, and libvirt itself beside it.
class Host {
 public:
  // `letter`: of the environment's names.
  Host(const std::string& letter, const std::string& run_dir, const std::map<std::string, std::string>& more) {
    const std::string uri = environment(("VMSEC_TEST_KVM_URI_" + letter).c_str());
    std::filesystem::create_directories(run_dir);
    context = std::make_shared<Context>();
    context->options.uri = uri;
    context->options.run_dir = run_dir;
    const std::string kernel = environment("VMSEC_TEST_KVM_KERNEL");
    context->options.settings = {
        {"incoming.kernel_roots", std::filesystem::path(kernel).parent_path().string()},
        {"incoming.file_roots", "/var/log/libvirt/qemu"},
    };
    const std::string pid_files = environment(("VMSEC_TEST_KVM_RUN_DIR_" + letter).c_str());
    if (!pid_files.empty()) context->options.settings["libvirt_run_dir"] = pid_files;
    for (const auto& [key, value] : more) context->options.settings[key] = value;
    auto opened = Connection::open(uri);
    REQUIRE(opened);
    context->connection = *opened;
    auto made = make_migration(context);
    REQUIRE(made);
    migration = std::move(*made);
    connect = virConnectOpen(uri.c_str());
    REQUIRE(connect != nullptr);
  }
  ~Host() {
    migration.reset();
    virConnectClose(connect);
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  DomainState state(const Uuid& uuid) const {
    virDomainPtr domain = virDomainLookupByUUID(connect, uuid.bytes().data());
    if (domain == nullptr) return DomainState::unknown;
    int state = 0;
    const bool known = virDomainGetState(domain, &state, nullptr, 0) == 0;
    virDomainFree(domain);
    if (!known) return DomainState::unknown;
    if (state == VIR_DOMAIN_RUNNING) return DomainState::running;
    return state == VIR_DOMAIN_PAUSED ? DomainState::paused : DomainState::shut_off;
  }
  bool present(const Uuid& uuid) const { return state(uuid) != DomainState::unknown; }

  // The guest's processor does something.
  bool ticks(const Uuid& uuid) const {
    const auto used = [&]() -> unsigned long long {
      virDomainPtr domain = virDomainLookupByUUID(connect, uuid.bytes().data());
      virDomainInfo info{};
      if (domain != nullptr) virDomainGetInfo(domain, &info), virDomainFree(domain);
      return info.cpuTime;
    };
    const auto before = used();
    return state(uuid) == DomainState::running && eventually([&] { return used() > before; });
  }

  void clean(const Uuid& uuid) const {
    virDomainPtr domain = virDomainLookupByUUID(connect, uuid.bytes().data());
    if (domain == nullptr) return;
    virDomainDestroy(domain);
    virDomainUndefine(domain);
    virDomainFree(domain);
  }

  std::shared_ptr<Context> context;
  std::unique_ptr<Migration> migration;
  virConnectPtr connect = nullptr;
};

// Carries one channel's bytes both ways.
class Relay {
 public:
  Relay(Fd source, Fd destination) : source_(std::move(source)), destination_(std::move(destination)) {
    there_ = std::thread([this] { copy(source_, destination_, false); });
    back_ = std::thread([this] { copy(destination_, source_, true); });
  }
  ~Relay() {
    cut();
    there_.join();
    back_.join();
  }
  void cut() {
    ::shutdown(source_.get(), SHUT_RDWR);
    ::shutdown(destination_.get(), SHUT_RDWR);
  }
  // What the destination says from here on is lost.
  void mute_destination() { muted_ = true; }

 private:
  void copy(const Fd& from, const Fd& to, bool back) {
    std::vector<char> buffer(1 << 16);
    for (;;) {
      const ssize_t count = ::recv(from.get(), buffer.data(), buffer.size(), 0);
      if (count <= 0) break;
      if (back && muted_) continue;
      for (ssize_t sent = 0; sent < count;) {
        const ssize_t now =
            ::send(to.get(), buffer.data() + sent, static_cast<std::size_t>(count - sent), MSG_NOSIGNAL);
        if (now <= 0) return static_cast<void>(::shutdown(from.get(), SHUT_RD));
        sent += now;
      }
    }
    ::shutdown(to.get(), SHUT_WR);
  }

  Fd source_;
  Fd destination_;
  std::atomic<bool> muted_ = false;
  std::thread there_;
  std::thread back_;
};

}  // namespace vmsec::kvm::test
