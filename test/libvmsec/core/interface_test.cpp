#include <catch2/catch.hpp>

#include "vmsec/capability/resource_control.hpp"
#include "vmsec/interface.hpp"

namespace vmsec {
namespace {

class Resources final : public ResourceControl {
 public:
  Result<HostResources> host(const Empty&) override { return HostResources{4, {1 << 30}, "a test"}; }
  Result<ResourceLimits> get(const DomainRef&) override { return fail(Code::not_found, "no such domain"); }
  Result<Empty> set(const SetResources& request) override {
    last = request;
    return Empty{};
  }
  SetResources last;
};

// Straight to the endpoint, as if it were far away.
class Direct final : public Transport {
 public:
  explicit Direct(Endpoint& endpoint) : endpoint_(endpoint) {}
  Result<Packet> call(std::uint32_t method, Packet request) override {
    return endpoint_.call(method, std::move(request));
  }

 private:
  Endpoint& endpoint_;
};

TEST_CASE("a proxy's call reaches the implementation, and its answer or error comes back") {
  Resources resources;
  EndpointOf<ResourceControl> endpoint(resources);
  CHECK(endpoint.interface_name() == "vmsec.ResourceControl");
  Proxy<ResourceControl> proxy(std::make_shared<Direct>(endpoint));
  const auto host = proxy.host({});
  REQUIRE(host);
  CHECK(host->cpus == 4);
  CHECK(host->hypervisor == "a test");
  const auto limits = proxy.get({});
  REQUIRE_FALSE(limits);
  CHECK(limits.error().code == Code::not_found);
  SetResources request{Uuid({1}), {}};
  request.limits.pins = {{1, {0, 2}}};
  REQUIRE(proxy.set(request));
  CHECK(resources.last.domain == request.domain);
  CHECK(resources.last.limits.pins == request.limits.pins);
}

TEST_CASE("a method that an interface does not have is unsupported, by name") {
  Resources resources;
  for (const std::uint32_t number : {0u, 4u, 0xffffffffu}) {
    const auto answer = dispatch<ResourceControl>(resources, number, {});
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == Code::unsupported);
    CHECK_THAT(answer.error().message, Catch::Contains("vmsec.ResourceControl has no method"));
  }
}

TEST_CASE("a malformed request never reaches the implementation") {
  Resources resources;
  const auto answer = dispatch<ResourceControl>(resources, 3, Packet{"\x08\x01", {}});
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Code::invalid_argument);
  CHECK_THAT(answer.error().message, Catch::Contains("vmsec.ResourceControl.Set"));
  CHECK(resources.last.domain.is_nil());
}

TEST_CASE("what is refused before the call never reaches the implementation") {
  Resources resources;
  const auto refuse = [](const auto&, const auto&) -> Status { return fail(Code::denied, "not granted"); };
  const auto answer = dispatch<ResourceControl>(resources, 3, wire::pack(SetResources{Uuid({1}), {}}), refuse);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == Code::denied);
  CHECK(resources.last.domain.is_nil());
}

}  // namespace
}  // namespace vmsec
