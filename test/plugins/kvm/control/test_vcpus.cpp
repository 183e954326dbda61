#include "real_host.hpp"
#include "vcpu_count.hpp"

using namespace vmsec;
using namespace vmsec::kvm::test;

namespace {

constexpr const char* kTwo = "verify=0 cpu=1 second=1";

ResourceLimits vcpus(std::uint32_t count) { return {.vcpus = count}; }

std::string definition_of(const Guest& guest) {
  const std::unique_ptr<char, decltype(&std::free)> text(virDomainGetXMLDesc(guest.handle(), VIR_DOMAIN_XML_INACTIVE),
                                                         &std::free);
  return text.get();
}

}  // namespace

TEST_CASE("a quota is of all vCPUs together, also of one that comes later") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "vcpus", .command_line = kTwo, .vcpus_maximum = 2, .persistent = true});
  must(host.resources->set({guest.uuid, {.cpu_quota_millis = 400}}));
  must(host.resources->set({guest.uuid, vcpus(2)}));
  CHECK(must(host.domains->get(guest.ref())).vcpus == 2);
  CHECK(must(host.domains->get(guest.ref())).vcpus_maximum == 2);
  CHECK(must(host.resources->get(guest.ref())).cpu_quota_millis == 400);
  const auto cpu_time = [&] { return must(host.domains->get(guest.ref())).cpu_time.value; };
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const double used = per_second(4, cpu_time) / 1000;
  WARN("CPU quota 400 thousandths, 2 vCPUs: " << used << " used");
  CHECK(used <= 465);
  CHECK(definition_of(guest).find("<quota>20000</quota>") != std::string::npos);
  CHECK(definition_of(guest).find(">2</vcpu>") != std::string::npos);
  CHECK(definition_of(guest).find("hotpluggable='yes'") != std::string::npos);
}

TEST_CASE("a quota that is too small for more vCPUs leaves them as they are") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "vcpus-small", .vcpus_maximum = 2});
  must(host.resources->set({guest.uuid, {.cpu_quota_millis = 1}}));
  const Error error = refusal(host.resources->set({guest.uuid, vcpus(2)}));
  CHECK(error.code == Code::limit_exceeded);
  CHECK(must(host.domains->get(guest.ref())).vcpus == 1);
  CHECK(must(host.resources->get(guest.ref())).cpu_quota_millis == 1);
}

TEST_CASE("emulation lets no vCPU go, and the refusal says what does") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "vcpus-qemu", .vcpus_maximum = 2});
  must(host.resources->set({guest.uuid, vcpus(2)}));
  const Error error = refusal(host.resources->set({guest.uuid, vcpus(1)}));
  CHECK(error.code == Code::unsupported);
  CHECK(error.message.find("type kvm") != std::string::npos);
  CHECK(must(host.domains->get(guest.ref())).vcpus == 2);
}

TEST_CASE("vCPUs that a domain was started with stay, and the refusal says why") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "vcpus-boot", .vcpus = 2, .vcpus_maximum = 3});
  const Status written = vmsec::kvm::write_vcpus(guest.handle(), 1, VIR_DOMAIN_AFFECT_LIVE, "take one");
  REQUIRE_FALSE(written);
  INFO(written.error().message);
  CHECK(written.error().code == Code::unsupported);
  CHECK(written.error().message.find("hotpluggable='yes'") != std::string::npos);
}

TEST_CASE("a guest that does not let go of a vCPU is a timeout that says what it needs") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "vcpus-stuck", .command_line = "second=1 verify=0", .vcpus_maximum = 2});
  must(host.resources->set({guest.uuid, vcpus(2)}));
  // The guest is there once its second vCPU computes; the first has nothing to do, so that any share of a CPU tells.
  const auto cpu_time = [&] { return must(host.domains->get(guest.ref())).cpu_time.value; };
  REQUIRE(eventually([&] { return per_second(2, cpu_time) / 1000 > 300; }));
  const Status written = vmsec::kvm::write_vcpus(guest.handle(), 1, VIR_DOMAIN_AFFECT_LIVE, "take one");
  REQUIRE_FALSE(written);
  INFO(written.error().message);
  CHECK(written.error().code == Code::timeout);
  CHECK(written.error().message.find("ACPI CPU hotplug") != std::string::npos);
}

TEST_CASE("a guest that cannot let go of a vCPU is refused, and the refusal says what it lacks") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "vcpus-plain", .vcpus_maximum = 2});
  must(host.resources->set({guest.uuid, vcpus(2)}));
  const Status written = vmsec::kvm::write_vcpus(guest.handle(), 1, VIR_DOMAIN_AFFECT_LIVE, "take one");
  REQUIRE_FALSE(written);
  INFO(written.error().message);
  CHECK(written.error().code == Code::unsupported);
  CHECK(written.error().message.find("no ACPI CPU hotplug") != std::string::npos);
}
