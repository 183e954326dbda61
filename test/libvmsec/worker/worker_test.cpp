// A module in its own process, over a fake backend: as a Host runs it.
#include "worker/worker_instance.hpp"

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <future>

#include "libvmsec/host/toys.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/enforcement.hpp"

namespace vmsec::test {
namespace {

using namespace host;

struct Apart {
  Result<std::unique_ptr<loader::ModuleInstance>> start(worker::WorkerOptions options = {}) {
    return worker::start_in_worker(file, link.host(), {}, std::move(options));
  }
  Toys toys{{}};
  loader::ModuleFile file = good(loader::ModuleFile::open(Toys::file("toy"), good(Trust::read(""))));
  ModuleLink link{file.manifest(), toys.capabilities, toys.grants, nullptr};
};

bool skipped(const Result<std::unique_ptr<loader::ModuleInstance>>& instance) {
  if (instance) return false;
  WARN("SKIPPED: no worker can be had here: " << instance.error().message);
  return true;
}

// What the kernel says of each child of this process, as in /proc/PID/status.
std::vector<std::string> of_children(const std::string& field) {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream status(entry.path() / "status");
    std::string parent;
    std::string value;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("PPid:\t")) parent = line.substr(6);
      if (line.starts_with(field + ":\t")) value = line.substr(field.size() + 2);
    }
    if (parent == std::to_string(::getpid())) found.push_back(value);
  }
  return found;
}

}  // namespace

TEST_CASE("a worker runs on the CPUs that its budget names, and not at all where none of them is there") {
  Apart apart;
  cpu_set_t ours;
  REQUIRE(::sched_getaffinity(0, sizeof ours, &ours) == 0);
  std::uint32_t last = CPU_SETSIZE - 1;
  while (!CPU_ISSET(last, &ours)) --last;
  worker::WorkerOptions options;
  options.budget.cpus = {last, 4095};
  const auto instance = apart.start(std::move(options));
  if (skipped(instance)) return;
  CHECK(of_children("Cpus_allowed_list") == std::vector{std::to_string(last)});
  worker::WorkerOptions nowhere;
  nowhere.budget.cpus = {4095};
  const auto refused = apart.start(std::move(nowhere));
  CHECK(code_of(refused) == Code::invalid_argument);
  CHECK_THAT(message_of(refused), Catch::Contains("module toy") && Catch::Contains("run on CPUs 4095 alone"));
}

TEST_CASE("a worker that is not there is an error that names it: there is no other carrier to fall back to") {
  Apart apart;
  worker::WorkerOptions options;
  options.program = "/nonexistent/vmsec-worker";
  const auto instance = apart.start(std::move(options));
  CHECK(code_of(instance) == Code::unavailable);
  CHECK_THAT(message_of(instance), Catch::Contains("module toy") && Catch::Contains("/nonexistent/vmsec-worker"));
}

TEST_CASE("a program that is no worker is an error, not a module") {
  Apart apart;
  worker::WorkerOptions options;
  options.program = "/bin/true";
  options.budget.deadline = {3'000'000};
  CHECK(code_of(apart.start(std::move(options))) == Code::unavailable);
}

TEST_CASE("a module is called the same way in its own process, and calls the host from there") {
  Apart apart;
  auto instance = apart.start();
  if (skipped(instance)) return;
  CHECK((*instance)->state().carrier == "worker");
  apart.toys.grants.replace(policy(grant("toy", "*", R"("vmsec.DomainControl")")));
  Setting setting;
  setting.path = "level";
  setting.type = SettingType::integer;
  setting.integer = 3;
  const EnforcementTarget target{uuid_of(1), Settings{{setting}}};
  const auto changes = good(wire::unpack<Changes>(good((*instance)->call("vmsec.Enforcement", 2, wire::pack(target)))));
  CHECK(changes.changes.size() == 1);
  CHECK(code_of((*instance)->call("vmsec.Enforcement", 99, {})) == Code::unsupported);
  CHECK(code_of((*instance)->call("vmsec.Enforcement", 1, Packet{"\xff", {}})) == Code::invalid_argument);
}

TEST_CASE("what a module calls for a call of ours is served by our own thread: a preview holds for it") {
  Apart apart;
  auto instance = apart.start();
  if (skipped(instance)) return;
  apart.toys.grants.replace(policy(""));
  const EnforcementTarget target{uuid_of(1), {}};
  CHECK(code_of((*instance)->call("vmsec.Enforcement", 2, wire::pack(target))) == Code::denied);
  const Policy proposed = policy(grant("toy", "*", R"("vmsec.DomainControl")"));
  const Grants::Preview preview(proposed);
  CHECK((*instance)->call("vmsec.Enforcement", 2, wire::pack(target)));
}

TEST_CASE("where no instance can be made, what the module's calls wait for is ended before they are waited for") {
  struct Silent {
    std::promise<void> released;
    std::atomic<bool> asked = false;
    std::atomic<bool> in_time = false;
  } silent;
  const auto call = [](void* context, const vmsec_call*, vmsec_reply* reply) {
    auto& self = *static_cast<Silent*>(context);
    self.asked = true;
    self.in_time = self.released.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready;
    sdk::answer(*reply, fail(Code::unavailable, "nobody answers"));
  };
  const vmsec_host host{sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, &silent, call};
  worker::WorkerOptions options;
  bool let_go = false;
  options.hooks.ended = [&](const std::string&) { silent.released.set_value(); };
  options.hooks.release = [&] { let_go = true; };
  const auto file = good(loader::ModuleFile::open(
      std::string(VMSEC_BINARY_DIR) + "/test/hostile_modules/fails_while_calling.so", good(Trust::read(""))));
  const auto instance = worker::start_in_worker(file, host, {}, std::move(options));
  CHECK_FALSE(instance);
  if (!silent.asked) {
    WARN("SKIPPED: no worker can be had here: " << message_of(instance));
    return;
  }
  CHECK(silent.in_time);
  CHECK(let_go);
}

TEST_CASE("handles of an instance that has ended are revoked for the next one") {
  Apart apart;
  const vmsec_host host = apart.link.host();
  const auto open = [&] {
    const Packet reply =
        good(sdk::call_through(host.call, host.context, {}, 0, 1, wire::pack(OpenHandle{"vmsec.DomainControl"})));
    const auto handle = good(wire::decode<HandleReply>(reply.bytes));
    return std::uint64_t{handle.id} << 32 | handle.generation;
  };
  const std::uint64_t old = open();
  apart.link.release();
  const std::uint64_t fresh = open();
  CHECK(old != fresh);
  const auto call = [&](std::uint64_t handle) {
    return sdk::call_through(host.call, host.context, {}, handle, 1, wire::pack(Empty{}));
  };
  CHECK(code_of(call(old)) == Code::revoked);
  CHECK(code_of(call(fresh)) == Code::denied);  // by the policy: so the handle is good
}

}  // namespace vmsec::test
