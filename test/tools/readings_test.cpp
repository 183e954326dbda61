// What is read of the VMs where a part of it is not there, or fails.
#include <catch2/catch.hpp>

#include "common/readings.hpp"

using namespace vmsec;

namespace {

class TwoDomains final : public DomainControl {
 public:
  Result<DomainList> list(const Empty&) override {
    DomainList out;
    for (const auto* name : {"one", "two"}) {
      out.domains.emplace_back();
      out.domains.back().name = name;
      out.domains.back().state = DomainState::running;
    }
    return out;
  }
  Result<DomainInfo> get(const DomainRef&) override { return fail(Code::internal, "not asked here"); }
  Result<Empty> pause(const DomainRef&) override { return fail(Code::internal, "not asked here"); }
  Result<Empty> resume(const DomainRef&) override { return fail(Code::internal, "not asked here"); }
};

class NoResources final : public ResourceControl {
 public:
  Result<HostResources> host(const Empty&) override { return fail(Code::internal, "not asked here"); }
  Result<ResourceLimits> get(const DomainRef&) override { return fail(Code::unsupported, "this hypervisor has none"); }
  Result<Empty> set(const SetResources&) override { return fail(Code::internal, "not asked here"); }
};

// Fails for the first domain that it is asked about, as `code`.
class FailsOnce final : public IoControl {
 public:
  explicit FailsOnce(Code code) : code_(code) {}
  Result<IoStatistics> statistics(const DomainRef&) override {
    if (asked_++ == 0) return fail(code_, "no answer");
    return IoStatistics{{{"vda", {1}, {2}, 3, 4}}, {}};
  }
  Result<IoLimits> get(const DomainRef&) override { return IoLimits{}; }
  Result<Empty> set_disk(const SetDiskLimit&) override { return fail(Code::internal, "not asked here"); }
  Result<Empty> set_nic(const SetNicLimit&) override { return fail(Code::internal, "not asked here"); }

 private:
  Code code_;
  int asked_ = 0;
};

Result<std::vector<tools::Reading>> read_where_it_fails_as(Code code) {
  TwoDomains domains;
  NoResources resources;
  FailsOnce io(code);
  return tools::read_all({domains, resources, io});
}

}  // namespace

TEST_CASE("what a hypervisor does not have, and a VM that has just ended, is no trouble") {
  for (const Code code : {Code::unsupported, Code::not_found, Code::wrong_state}) {
    const auto all = read_where_it_fails_as(code);
    REQUIRE(all);
    REQUIRE(all->size() == 2);
    for (const auto& reading : *all) {
      CHECK_FALSE(reading.trouble);
      CHECK_FALSE(reading.resources);
      CHECK(reading.limits);
    }
    CHECK_FALSE((*all)[0].counters);
    CHECK((*all)[1].counters);
  }
}

TEST_CASE("one VM's trouble is told, and hides no other VM") {
  const auto all = read_where_it_fails_as(Code::internal);
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  REQUIRE((*all)[0].trouble);
  CHECK((*all)[0].trouble->message == "no answer");
  CHECK((*all)[0].limits);
  CHECK_FALSE((*all)[1].trouble);
  CHECK((*all)[1].counters);
}

TEST_CASE("a hypervisor that goes away while it is read gives nothing at all") {
  const auto all = read_where_it_fails_as(Code::unavailable);
  REQUIRE_FALSE(all);
  CHECK(all.error().code == Code::unavailable);
}
