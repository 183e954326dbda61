// Modules that do harm, beside one that does not, on a host with a simulated VM: whatever
// they do, the host goes on, the other module and the VM are served, and the cause is named.
#include <algorithm>
#include <filesystem>
#include <thread>

#include "libvmsec/host/fake_backend.hpp"
#include "paths.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/host.hpp"
#include "vmsec/service/enforcement.hpp"

namespace vmsec::test {
namespace {

constexpr std::uint32_t kCheck = 1;
constexpr std::uint32_t kHarm = 2;

struct Scene {
  explicit Scene(const std::string& hostile, WorkerBudget budget = small()) : name(hostile) {
    fs::create_directory(dir.path() / "domains");
    fs::create_directory(dir.path() / "modules");
    const std::string binaries = VMSEC_BINARY_DIR;
    for (const auto& folder : {"/test/toys", "/test/hostile_modules"})
      for (const auto& each : fs::directory_iterator(binaries + folder))
        if (const auto file = each.path().filename().string();
            file.starts_with("toy.so") || file.starts_with(hostile + ".so"))
          fs::create_symlink(each.path(), dir.path() / "modules" / each.path().filename());
    spit(dir.path() / "domains" / "web-1.toml", "name = \"web-1\"\nuuid = \"" + uuid_of(1).text() +
                                                    "\"\nmemory = \"4 MiB\"\n[workload]\npattern = \"idle\"\n");
    options.name = "host-a";
    options.state_dir = dir.path() / "state";
    options.run_dir = dir.path() / "run";
    options.plugin = "sim";
    options.plugin_path = {binaries + "/lib/vmsec/plugins"};
    options.module_path = {dir.path() / "modules"};
    options.backend.uri = "sim:host-a";
    options.backend.settings["domains"] = dir.path() / "domains";
    options.trusted_without_policy = true;
    options.modules["toy"];
    options.modules[hostile];
    options.workers[hostile] = budget;
  }
  static WorkerBudget small() {
    WorkerBudget budget;
    budget.memory = {64 << 20};
    budget.descriptors = 300;
    budget.threads = 250;
    budget.calls = 2000;
    budget.deadline = {1'500'000};
    return budget;
  }

  Status open() {
    VMSEC_TRY(host, open_host(options));
    return {};
  }
  Result<Packet> call(std::uint32_t method) const { return host->call(name + ":vmsec.Enforcement", method, {}); }
  ModuleInfo info() const {
    for (const auto& module : good(host->open<HostControl>()->info({})).modules)
      if (module.name == name) return module;
    return {};
  }
  template <class Condition>
  static bool comes(Condition&& condition) {
    for (int i = 0; i < 1200; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(25));
    }
    return false;
  }
  bool is_on_record(const std::string& cause) const {
    return std::ranges::any_of(good(read_audit(fs::path(options.state_dir) / "audit.log")), [&](const auto& act) {
      return act.entry.action == "module.end" && act.entry.detail.find(cause) != std::string::npos;
    });
  }
  // The other module and the VM, as if nothing had happened.
  void others_go_on() const {
    CHECK(host->call("toy:vmsec.Enforcement", kCheck, wire::pack(Settings{})));
    const auto domains = good(host->open<DomainControl>()->list({}));
    REQUIRE(domains.domains.size() == 1);
    CHECK(domains.domains[0].state == DomainState::running);
    for (const auto& module : good(host->open<HostControl>()->info({})).modules)
      if (module.name == "toy") CHECK(module.restarts == 0);
  }

  std::string name;
  TempDir dir;
  HostOptions options;
  std::shared_ptr<Host> host;
};

struct Harm {
  const char* module;
  const char* cause;
  Code code = Code::unavailable;
};

constexpr Harm kEnds[] = {
    {"fork_bomb", "a forbidden system call: clone"},
    {"thread_bomb", "its budget of 250 threads is used up"},
    {"allocation_bomb", "its memory budget of 64 MiB is used up"},
    {"leak", "its memory budget of 64 MiB is used up"},
    {"descriptor_bomb", "its budget of 300 descriptors is used up"},
    {"spin", "it did not answer within 1.5 s: vmsec.Enforcement.2", Code::timeout},
    {"aborts", "it crashed (SIGABRT)"},
    {"stack_smash", "it crashed (SIGABRT)"},
    {"stack_overflow", "it crashed (SIGSEGV)"},
    {"null_jump", "it crashed (SIGSEGV)"},
    {"exits", "it ended itself (exit code 0)"},
    {"garbage", "it sent "},
    {"closes_all", "it closed "},
    {"control_lies", "it sent a control message out of turn"},
    {"ptrace_parent", "a forbidden system call: ptrace"},
    {"kill_parent", "a forbidden system call: kill"},
    {"opens_socket", "a forbidden system call: socket"},
    {"executes", "a forbidden system call: execve"},
    {"absurd_size", "it sent a frame of 2147483647 bytes, where 4194304 are allowed"},
    {"never_replies", "it did not answer within 1.5 s: vmsec.Enforcement.2", Code::timeout},
    {"half_a_frame", "it did not answer within 1.5 s: vmsec.Enforcement.2", Code::timeout},
    {"replies_twice", "it sent a frame out of turn: more came than one"},
    {"unknown_kind", "it sent a frame out of turn, of kind 99"},
    {"lying_descriptors", "it sent a frame that announces 5 descriptors and brings 0"},
    {"first_thread_ends", "its first thread ended"},
    {"call_flood", "a flood of calls: more than 2000 in a second"},
};

struct Denial {
  const char* module;
  Code code;
};

// These do no harm, as they get nothing; they may go on.
constexpr Denial kRefused[] = {
    {"opens_files", Code::denied},     {"makes_code", Code::denied},           {"takes_the_signal", Code::denied},
    {"grows_down", Code::denied},      {"takes_the_signal_raw", Code::denied}, {"shared_memory_bomb", Code::denied},
    {"beyond_manifest", Code::denied}, {"forged_handle", Code::revoked},       {"absurd_reply", Code::limit_exceeded},
    {"line_bomb", Code::revoked},      {"says_ready_early", Code::denied},
};

}  // namespace

TEST_CASE("a module that ends its process ends nothing else, the cause is named, and it is started again") {
  const Harm harm = GENERATE(from_range(std::begin(kEnds), std::end(kEnds)));
  INFO(harm.module);
  Scene scene(harm.module);
  good(scene.open());
  CHECK(scene.call(kCheck));
  const auto answer = scene.call(kHarm);
  CHECK(code_of(answer) == harm.code);
  CHECK_THAT(message_of(answer), Catch::Contains(harm.module) && Catch::Contains(harm.cause));
  scene.others_go_on();
  CHECK(Scene::comes([&] { return scene.info().restarts >= 1 && scene.call(kCheck).has_value(); }));
  CHECK_THAT(scene.info().last_end, Catch::Contains(harm.cause));
  CHECK(scene.is_on_record(harm.cause));
}

TEST_CASE("a module that asks for what it may not have is refused, and goes on") {
  const Denial denial = GENERATE(from_range(std::begin(kRefused), std::end(kRefused)));
  INFO(denial.module);
  WorkerBudget budget = Scene::small();
  budget.calls = 100'000;
  budget.deadline = {20'000'000};
  budget.memory = {256 << 20};
  Scene scene(denial.module, budget);
  good(scene.open());
  CHECK(code_of(scene.call(kHarm)) == denial.code);
  CHECK(scene.call(kCheck));
  CHECK(scene.info().restarts == 0);
  scene.others_go_on();
}

TEST_CASE("a thread of a module's own that takes all CPU time is found by the CPU budget") {
  WorkerBudget budget = Scene::small();
  budget.cpu_percent = 20;
  const std::string module = GENERATE("spin_behind", "hides_its_name");
  INFO(module);
  Scene scene(module, budget);
  good(scene.open());
  CHECK(code_of(scene.call(kHarm)) == Code::ok);
  CHECK(Scene::comes([&] { return scene.info().restarts == 1; }));
  CHECK_THAT(scene.info().last_end, Catch::Contains("its CPU budget of 20% is used up"));
  scene.others_go_on();
}

TEST_CASE("a module that says nothing more on its control line is ended") {
  Scene scene("cuts_control");
  good(scene.open());
  CHECK(code_of(scene.call(kHarm)) == Code::ok);
  CHECK(Scene::comes([&] { return scene.info().restarts == 1; }));
  CHECK_THAT(scene.info().last_end, Catch::Contains("it closed its control line"));
  scene.others_go_on();
}

TEST_CASE("a call of a module's own that is not whole in time, or brings descriptors, ends it") {
  const auto [module, cause] = GENERATE(table<const char*, const char*>({
      {"half_a_call", "it did not send the rest of a frame within 1.5 s"},
      {"sends_descriptors", "it sent descriptors, which no worker may send"},
  }));
  INFO(module);
  Scene scene(module);
  good(scene.open());
  CHECK(code_of(scene.call(kHarm)) == Code::ok);
  CHECK(Scene::comes([&] { return scene.info().restarts == 1; }));
  CHECK_THAT(scene.info().last_end, Catch::Contains(cause));
  scene.others_go_on();
}

TEST_CASE("a flood of log lines ends as a flood of calls") {
  Scene scene("log_flood");
  good(scene.open());
  CHECK_THAT(message_of(scene.call(kHarm)), Catch::Contains("a flood of calls"));
  scene.others_go_on();
}

TEST_CASE("a module that does not begin is not loaded, and the host says why") {
  const auto [module, cause] = GENERATE(table<const char*, const char*>({
      {"crashes_in_constructor", "it crashed (SIGABRT)"},
      {"hangs_in_constructor", "it was not loaded within 1.5 s"},
      {"looks_in_constructor", "a forbidden system call: socket"},
      {"calls_in_constructor", "it sent a control message out of turn"},
      {"hangs_in_create", "it did not answer within 1.5 s: the making of its instance"},
  }));
  INFO(module);
  Scene scene(module);
  const Status opened = scene.open();
  CHECK_THAT(message_of(opened), Catch::Contains(module) && Catch::Contains(cause));
}

TEST_CASE("a module that crashes when it is ended does not keep the host from ending") {
  Scene scene("crashes_in_destroy");
  good(scene.open());
  CHECK(scene.call(kCheck));
  scene.host->shut_down();
  scene.host.reset();
}

TEST_CASE("a module that makes interfaces up hides nothing that it was refused") {
  Scene scene("invents_interfaces");
  good(scene.open());
  CHECK(code_of(scene.call(kHarm)) == Code::denied);
  const auto acts = good(read_audit(fs::path(scene.options.state_dir) / "audit.log"));
  CHECK(std::ranges::any_of(acts, [](const auto& act) {
    return act.entry.action == "grant.refuse" && act.entry.detail.starts_with("vmsec.Migration: ");
  }));
  CHECK(std::ranges::count(acts, "grant.refuse", [](const auto& act) { return act.entry.action; }) < 50);
}

TEST_CASE("while a module waits to be started again, calls say when") {
  Scene scene("aborts");
  good(scene.open());
  for (int i = 0; i < 3; ++i) {
    CHECK(Scene::comes([&] { return code_of(scene.call(kHarm)) != Code::unavailable || true; }));
    CHECK(Scene::comes([&] { return scene.info().state == "waiting to start again"; }));
    const auto answer = scene.call(kCheck);
    if (!answer) CHECK_THAT(message_of(answer), Catch::Contains("its process has ended: it crashed (SIGABRT)"));
    CHECK(Scene::comes([&] { return scene.call(kCheck).has_value(); }));
  }
  CHECK(scene.info().restarts >= 3);
}

}  // namespace vmsec::test
