// host.enforce: the policy's limits are applied without being asked for, and again when what had them begins anew.
#include "tools/sim_host.hpp"
#include "vmsec/capability/resource_control.hpp"
#include "vmsec/control.hpp"

using namespace vmsec;
using namespace vmsec::test;

namespace {

const Uuid kWeb = Uuid::parse("0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01").value();
const Uuid kDb = Uuid::parse("0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e02").value();

struct EnforcingHost : SimHost {
  explicit EnforcingHost(const std::string& policy = kPolicy) : SimHost(policy, "enforce = true\n") {}

  [[nodiscard]] std::unique_ptr<ResourceControl> resources() const {
    return connect_agent(socket).value()->open<ResourceControl>();
  }
  [[nodiscard]] std::uint32_t quota(const Uuid& vm = kWeb) const {
    return resources()->get({vm}).value().cpu_quota_millis.value();
  }
  [[nodiscard]] bool has_quota(std::uint32_t millis, const Uuid& vm = kWeb) const {
    return comes_true([&] { return quota(vm) == millis; });
  }
  // As an operator who has a reason to.
  void lift(const Uuid& vm = kWeb) const {
    REQUIRE(resources()->set({vm, {.cpu_quota_millis = 0}}));
    REQUIRE(quota(vm) == 0);
  }
  void begin_anew(const std::string& vm) const {
    REQUIRE(text({"vm", "pause", vm}).code == 0);
    REQUIRE(text({"vm", "resume", vm}).code == 0);
  }
};

}  // namespace

TEST_CASE("a host that enforces applies the policy's limits when it starts, and one that does not waits to be told") {
  const EnforcingHost host;
  CHECK(host.has_quota(300));
  CHECK_FALSE(host.records("isolation.apply").empty());
  const SimHost other;
  CHECK(connect_agent(other.socket).value()->open<ResourceControl>()->get({kWeb})->cpu_quota_millis == 0u);
  CHECK(other.records("isolation.apply").empty());
}

TEST_CASE("a VM that begins to run gets the policy's limits again") {
  const EnforcingHost host;
  REQUIRE(host.has_quota(300));
  host.lift();
  host.begin_anew("web-1");
  CHECK(host.has_quota(300));
}

TEST_CASE("what an operator changes stays while the VM runs") {
  const EnforcingHost host(std::string(kPolicy) + "[[vm]]\nmatch = \"db-*\"\n[vm.isolation]\ncpu_quota = \"20%\"\n");
  REQUIRE(host.has_quota(300));
  REQUIRE(host.has_quota(200, kDb));
  host.lift();
  host.lift(kDb);
  host.begin_anew("db-1");
  REQUIRE(host.has_quota(200, kDb));
  CHECK(host.quota() == 0);
}

TEST_CASE("a module that was started again looks at every VM") {
  const EnforcingHost host;
  REQUIRE(host.has_quota(300));
  host.lift();
  REQUIRE(host.text({"module", "restart", "isolation"}).code == 0);
  CHECK(host.has_quota(300));
}

TEST_CASE("what cannot be enforced is on record once") {
  const EnforcingHost host(std::string(kPolicy) + "[[vm]]\nmatch = \"db-*\"\n[vm.isolation]\nvcpus = 4\n");
  REQUIRE(comes_true([&] { return host.records("policy.enforce").size() == 1; }));
  CHECK(has(host.records("policy.enforce")[0], "4 exceed the domain's maximum of 1"));
  // Once more, and a VM after it, twice: the first has been settled when the second has its limits.
  host.begin_anew("db-1");
  for (int i = 0; i < 2; ++i) {
    REQUIRE(host.has_quota(300));
    host.lift();
    host.begin_anew("web-1");
  }
  REQUIRE(host.has_quota(300));
  CHECK(host.records("policy.enforce").size() == 1);
}

TEST_CASE("host.enforce is true or false") {
  const BareHost host(kPolicy, "enforce = \"yes\"\n");
  const Ran ended = run("vmsecd", {"--config", host.config});
  CHECK(ended.code != 0);
  CHECK(has(ended.err, "host.enforce: must be true or false"));
}
