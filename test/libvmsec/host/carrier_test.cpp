// Where a module cannot run as it is configured, that is known before any of its code runs.
#include "host/carrier.hpp"

#include "libvmsec/host/fake_backend.hpp"
#include "paths.hpp"
#include "sanitized.hpp"

namespace vmsec::test {
namespace {

using namespace host;

loader::Manifest manifest_with(const std::string& more) {
  return good(loader::parse_manifest("name = \"mover\"\nversion = \"1\"\n" + more, "mover.so"));
}

Settings timeout_of(const std::string& text) {
  Setting setting;
  setting.path = "switch_timeout";
  setting.type = SettingType::text;
  setting.text = text;
  return Settings{{setting}};
}

WorkerBudget deadline_of(std::uint64_t seconds) {
  WorkerBudget budget;
  budget.deadline = {seconds * 1'000'000};
  return budget;
}

}  // namespace

TEST_CASE("a module that must run in the host's process is refused elsewhere, with the key to set") {
  const Status refused = check_worker(manifest_with("in_process = true\n"), {}, {});
  CHECK(code_of(refused) == Code::invalid_argument);
  CHECK_THAT(message_of(refused), Catch::Contains("host.in_process = [\"mover\"]"));
  CHECK(check_worker(manifest_with("in_process = false\n"), {}, {}));
  CHECK(check_worker(manifest_with(""), {}, {}));
}

TEST_CASE("a deadline that is no longer than what a call may wait is refused, with the keys to set") {
  const auto mover = manifest_with("waits = [\"switch_timeout = 60 s\"]\n");
  CHECK(check_worker(mover, {}, {}));
  CHECK(check_worker(mover, timeout_of("119 s"), {}));
  CHECK(check_worker(mover, timeout_of("1 h"), deadline_of(3601)));
  for (const auto& [settings, budget] :
       {std::pair(timeout_of("120 s"), WorkerBudget()), std::pair(Settings(), deadline_of(60)),
        std::pair(timeout_of("1 h"), deadline_of(120))}) {
    const Status refused = check_worker(mover, settings, budget);
    CHECK(code_of(refused) == Code::invalid_argument);
    CHECK_THAT(message_of(refused),
               Catch::Contains("worker.mover.deadline") && Catch::Contains("module.mover.switch_timeout"));
  }
  CHECK(check_worker(mover, timeout_of("soon"), {}));  // the module's own to refuse
}

TEST_CASE("a manifest whose waits are none is refused") {
  for (const char* text : {"switch_timeout", "switch_timeout = soon", ""})
    CHECK_FALSE(check_worker(manifest_with("waits = [\"" + std::string(text) + "\"]\n"), {}, {}));
}

#ifdef VMSEC_WITH_MEASURED_BOOT
TEST_CASE("an agent that would run measured_boot in a worker is refused by its configuration alone") {
  HostOptions options;
  options.plugin = "sim";
  options.plugin_path = {std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/plugins"};
  options.module_path = {std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/modules"};
  options.modules["measured_boot"];
  const Status refused = check_host_options(options);
  CHECK(code_of(refused) == Code::invalid_argument);
  CHECK_THAT(message_of(refused), Catch::Contains("host.in_process = [\"measured_boot\"]"));
}
#endif

}  // namespace vmsec::test
