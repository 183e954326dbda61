#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "boot_evidence.hpp"

using namespace vmsec;
using namespace vmsec::common;

TEST_CASE("boot evidence is what the host's configuration names, and unsupported without") {
  BackendOptions options;
  const auto host_evidence = [&] { return make_boot_evidence(options)->host({}); };
  CHECK(host_evidence().error().code == Code::unsupported);
  options.tpm_tcti = "swtpm:path=/run/tpm.sock";
  CHECK(host_evidence().error().code == Code::unsupported);
  const auto path = std::filesystem::temp_directory_path() / ("vmsec-test-log-" + std::to_string(getpid()));
  options.event_log = path.string();
  CHECK(host_evidence().error().code == Code::io);
  std::ofstream(path) << "log";
  const auto host = host_evidence();
  REQUIRE(host);
  CHECK(host->tcti == "swtpm:path=/run/tpm.sock");
  CHECK(host->event_log == "log");
  CHECK(host->ima_list.empty());
  options.ima_list = path.string() + "-none";
  CHECK(host_evidence().error().message.find("open IMA list ") != std::string::npos);
  options.ima_list = path.string();
  CHECK(host_evidence()->ima_list == "log");
  std::filesystem::resize_file(path, (16 << 20) + 1);
  CHECK(host_evidence().error().code == Code::limit_exceeded);
  std::filesystem::remove(path);
}
