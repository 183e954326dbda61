// The text that monitoring reads, from what was read of the VMs.
#include <catch2/catch.hpp>

#include "vmsecd/metrics.hpp"

using namespace vmsec;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

HostInfo agent() {
  HostInfo info;
  info.name = "host-a";
  info.version = "1.2";
  info.backend = "sim";
  ModuleInfo waiting;
  waiting.name = "throttle";
  waiting.version = "0.1.0";
  waiting.carrier = "worker";
  waiting.state = "waiting to start again";
  waiting.restarts = 3;
  ModuleInfo unloaded;
  unloaded.name = "other";
  info.modules = {waiting, unloaded};
  return info;
}

}  // namespace

TEST_CASE("names are escaped: no VM's name writes another line") {
  tools::Reading reading;
  reading.domain.name = "a\"b\\c\nvmsec_hypervisor_up 0";
  const auto text = daemon::metrics_text(agent(), std::vector{reading});
  CHECK(has(text, R"(vmsec_vm_vcpus{vm="a\"b\\c\nvmsec_hypervisor_up 0",uuid=)"));
  CHECK_FALSE(has(text, "\nvmsec_hypervisor_up 0"));
}

TEST_CASE("a hypervisor that does not answer is told, and nothing of its VMs is") {
  const auto text = daemon::metrics_text(agent(), fail(Code::unavailable, "libvirtd is gone"));
  CHECK(has(text, "\nvmsec_hypervisor_up 0\n"));
  CHECK(has(text, R"(vmsec_module_running{module="throttle",version="0.1.0"} 0)"));
  CHECK(has(text, R"(vmsec_module_restarts_total{module="throttle"} 3)"));
  CHECK_FALSE(has(text, "vmsec_vm_"));
  CHECK_FALSE(has(text, "other"));
}

TEST_CASE("a VM that could not be read whole is told by name") {
  tools::Reading whole;
  whole.domain.name = "web-1";
  auto broken = whole;
  broken.domain.name = "db-1";
  broken.trouble = Error{Code::internal, "no answer"};
  const auto text = daemon::metrics_text(agent(), std::vector{whole, broken});
  CHECK(has(text, R"(vmsec_vm_read_error{vm="web-1",uuid="00000000-0000-0000-0000-000000000000"} 0)"));
  CHECK(has(text, R"(vmsec_vm_read_error{vm="db-1",uuid="00000000-0000-0000-0000-000000000000"} 1)"));
}

TEST_CASE("a bound that is not set has no sample") {
  tools::Reading reading;
  reading.domain.name = "web-1";
  reading.resources = ResourceLimits{};
  reading.resources->cpu_quota_millis = 0;
  reading.limits = IoLimits{};
  reading.limits->disks.push_back({"vda", {20'000'000}, {0}, {0}, {0}, {0}, {0}, 0});
  const auto text = daemon::metrics_text(agent(), std::vector{reading});
  CHECK_FALSE(has(text, "vmsec_vm_cpu_limit_cores{"));
  CHECK(has(text, R"(device="vda"} 20000000)"));
  CHECK_FALSE(has(text, "vmsec_vm_disk_write_limit_bytes_per_second{"));
}
