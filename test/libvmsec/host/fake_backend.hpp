// A backend in memory that counts what reaches it, and policies in few words.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>

#include "libvmsec/identity/cloud.hpp"
#include "vmsec/backend.hpp"
#include "vmsec/policy.hpp"

namespace vmsec::test {

inline Uuid uuid_of(unsigned number) {
  std::array<std::uint8_t, 16> bytes{};
  bytes.back() = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

inline DomainInfo domain(unsigned number, const std::string& name, std::vector<std::string> tags = {}) {
  DomainInfo info;
  info.domain = uuid_of(number);
  info.name = name;
  info.state = DomainState::running;
  info.tags = std::move(tags);
  return info;
}

inline Policy policy(const std::string& text) {
  auto parsed = Policy::parse("version = 1\n" + text);
  if (!parsed) FAIL(describe(parsed.error(), "policy"));
  return std::move(*parsed);
}

// A [[grant]].
inline std::string grant(const std::string& module, const std::string& vm, const std::string& interfaces) {
  return "[[grant]]\nmodule = \"" + module + "\"\nvm = \"" + vm + "\"\ninterfaces = [" + interfaces + "]\n";
}

class FakeBackend final : public Backend, public DomainControl, public Events {
 public:
  [[nodiscard]] std::string name() const override { return "fake"; }
  Result<DomainControl*> domain_control() override { return this; }
  Result<ResourceControl*> resource_control() override { return &resources_; }
  Result<Events*> events() override { return this; }
  Result<Migration*> migration() override { return &migration_; }
  Result<MemoryAccess*> memory_access() override { return &memory_; }
  Result<Interchange*> interchange() override { return &interchange_; }

  Result<DomainList> list(const Empty&) override { return DomainList{domains}; }
  Result<DomainInfo> get(const DomainRef& ref) override {
    if (broken) return fail(Code::unavailable, "the hypervisor's daemon is gone");
    const auto found = std::ranges::find(domains, ref.domain, &DomainInfo::domain);
    if (found == domains.end()) return fail(Code::not_found, "no domain " + ref.domain.text());
    return *found;
  }
  Result<Empty> pause(const DomainRef&) override { return count(); }
  Result<Empty> resume(const DomainRef&) override { return count(); }

  Result<EventList> next(const NextEvents&) override { return EventList{happened, 0, happened.size()}; }

  std::vector<DomainInfo> domains;
  std::vector<Event> happened;
  int calls = 0;  // that change something
  bool broken = false;

 private:
  // Only what a grant's check needs to see: that prepare() names a domain.
  struct FakeMigration final : Migration {
    static std::unexpected<Error> no() { return fail(Code::unsupported, "not asked for"); }
    Result<DomainDescription> describe(const DomainRef&) override { return no(); }
    Result<Empty> start(const StartOutgoing&) override { return no(); }
    Result<Empty> prepare(const PrepareIncoming&) override { return Empty{}; }
    Result<ChannelEnd> open(const OpenChannel&) override { return no(); }
    Result<SessionEvent> next(const NextSessionEvent&) override { return no(); }
    Result<Empty> decide(const GateDecision&) override { return no(); }
    Result<TransferProgress> progress(const SessionRef&) override { return no(); }
    Result<Empty> cancel(const SessionRef&) override { return no(); }
    Result<Empty> close(const SessionRef&) override { return no(); }
    Result<Holding> holding(const SessionRef&) override { return Holding{}; }
    Result<Empty> hold(const SessionRef&) override { return no(); }
    Result<Empty> activate(const SessionRef&) override { return no(); }
    Result<Empty> discard(const SessionRef&) override { return no(); }
    Result<Empty> reclaim(const SessionRef&) override { return no(); }
    Result<Empty> release(const SessionRef&) override { return no(); }
    Result<Empty> start_post_copy(const SessionRef&) override { return no(); }
    Result<Empty> unhold(const SessionRef&) override { return no(); }
  };

  struct FakeResources final : ResourceControl {
    explicit FakeResources(FakeBackend& owner) : backend(owner) {}
    Result<HostResources> host(const Empty&) override { return HostResources{4, {}, "fake"}; }
    Result<ResourceLimits> get(const DomainRef&) override { return ResourceLimits{}; }
    Result<Empty> set(const SetResources&) override { return backend.count(); }
    FakeBackend& backend;
  };

  struct FakeMemory final : MemoryAccess {
    Result<MemoryMap> map(const DomainRef&) override { return MemoryMap{}; }
    Result<MemoryBytes> read(const ReadMemory&) override { return MemoryBytes{}; }
  };

  struct FakeInterchange final : Interchange {
    explicit FakeInterchange(FakeBackend& owner) : backend(owner) {}
    Result<Translation> translate(const DomainDefinition&) override { return Translation{"fake", "text", {}}; }
    Result<DomainRef> define(const DefineDomain& request) override {
      VMSEC_CHECK(backend.count());
      return DomainRef{request.domain};
    }
    Result<Empty> start(const DomainRef&) override { return backend.count(); }
    Result<Empty> undefine(const DomainRef&) override { return backend.count(); }
    Result<ExportedDomain> export_domain(const DomainRef&) override { return ExportedDomain{}; }
    FakeBackend& backend;
  };

  Result<Empty> count() {
    ++calls;
    return Empty{};
  }

  FakeMigration migration_;
  FakeResources resources_{*this};
  FakeMemory memory_;
  FakeInterchange interchange_{*this};
};

}  // namespace vmsec::test
