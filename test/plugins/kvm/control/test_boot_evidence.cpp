#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "context.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("boot evidence is what the host's configuration names, and unsupported without") {
  auto context = std::make_shared<Context>();
  const auto evidence = make_boot_evidence(context);
  REQUIRE(evidence);
  CHECK((*evidence)->host({}).error().code == Code::unsupported);
  context->options.tpm_tcti = "swtpm:path=/run/tpm.sock";
  CHECK((*evidence)->host({}).error().code == Code::unsupported);
  const auto path = std::filesystem::temp_directory_path() / ("vmsec-test-log-" + std::to_string(getpid()));
  context->options.event_log = path.string();
  CHECK((*evidence)->host({}).error().code == Code::io);
  std::ofstream(path) << "log";
  const auto host = (*evidence)->host({});
  REQUIRE(host);
  CHECK(host->tcti == "swtpm:path=/run/tpm.sock");
  CHECK(host->event_log == "log");
  std::filesystem::resize_file(path, (16 << 20) + 1);
  CHECK((*evidence)->host({}).error().code == Code::limit_exceeded);
  std::filesystem::remove(path);
}
