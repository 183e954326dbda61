// Grants by name after a restart, when the backend does not have the domain any more, or never had it.
#include "host/module_link.hpp"
#include "libvmsec/host/fake_backend.hpp"
#include "vmsec/module.hpp"

namespace vmsec::test {
namespace {

using namespace host;

const Uuid kMigration = uuid_of(7);
const std::string kOnWeb = grant("migration", "web-*", R"("vmsec.DomainControl", "vmsec.Migration")");

// One process's life: the core and a module "migration" on a backend that outlives it.
struct Life {
  Life(FakeBackend& backend, const fs::path& state, const std::string& grants_text)
      : capabilities(backend),
        link(loader::Manifest{"migration", "1", "", "", {}, {"vmsec.DomainControl", "vmsec.Migration"}, {}},
             capabilities, grants, nullptr) {
    good(capabilities.names().keep_in(state / "domain.names"));
    grants.replace(policy(grants_text));
  }
  std::unique_ptr<Migration> migration() { return good(HostLink(link.host()).open<Migration>()); }

  Capabilities capabilities;
  Grants grants{false};
  ModuleLink link;
};

PrepareIncoming arriving(unsigned number, const std::string& name) {
  PrepareIncoming request{kMigration, uuid_of(number), {}, {}};
  request.description.domain = request.domain;
  request.description.name = name;
  return request;
}

// The fake backend's own answer: so the call was let through.
constexpr Code kReached = Code::unsupported;

}  // namespace

TEST_CASE("what was prepared under a name pattern can be discarded after a restart, though the domain is gone") {
  const TempDir state;
  FakeBackend backend;
  good(Life(backend, state.path(), kOnWeb).migration()->prepare(arriving(5, "web-5")));
  Life again(backend, state.path(), kOnWeb);
  CHECK(code_of(again.migration()->hold({kMigration, uuid_of(5)})) == kReached);
  CHECK(code_of(again.migration()->discard({kMigration, uuid_of(5)})) == kReached);
  CHECK(code_of(again.migration()->discard({kMigration, uuid_of(6)})) == Code::denied);
}

TEST_CASE("a source may end its migration after a restart, though its domain has left") {
  const TempDir state;
  FakeBackend backend;
  backend.domains = {domain(1, "web-1", {"batch"})};
  const std::string by_tag = "[[grant]]\nmodule = \"migration\"\ntag = \"batch\"\ninterfaces = [\"vmsec.Migration\"]\n";
  const std::string grants = GENERATE(false, true) ? by_tag : std::string(kOnWeb);
  std::ignore = Life(backend, state.path(), grants).migration()->start({kMigration, uuid_of(1), {}});
  backend.domains.clear();
  CHECK(code_of(Life(backend, state.path(), grants).migration()->release({kMigration, uuid_of(1)})) == kReached);
}

TEST_CASE("a refused migration leaves no name behind") {
  const TempDir state;
  FakeBackend backend;
  CHECK(code_of(Life(backend, state.path(), kOnWeb).migration()->prepare(arriving(5, "db-5"))) == Code::denied);
  CHECK_FALSE(fs::exists(state.path() / "domain.names"));
}

TEST_CASE("a name that is kept gives no grant on a domain that is here under another") {
  const TempDir state;
  FakeBackend backend;
  good(Life(backend, state.path(), kOnWeb).migration()->prepare(arriving(5, "web-5")));
  backend.domains = {domain(5, "db-5")};
  CHECK(code_of(Life(backend, state.path(), kOnWeb).migration()->discard({kMigration, uuid_of(5)})) == Code::denied);
}

TEST_CASE("a migration whose domain's name cannot be kept does not begin") {
  const TempDir state;
  FakeBackend backend;
  Life life(backend, state.path() / "gone", kOnWeb);
  CHECK(code_of(life.migration()->prepare(arriving(5, "web-5"))) == Code::not_found);
}

TEST_CASE("kept names that cannot be read are an error, no fresh start") {
  const TempDir state;
  spit(state.path() / "domain.names", "\xff\xff\xff");
  FakeBackend backend;
  Capabilities capabilities(backend);
  const auto read = capabilities.names().keep_in(state.path() / "domain.names");
  CHECK(code_of(read) == Code::tampered);
  CHECK_THAT(message_of(read), Catch::Contains("domain.names"));
}

TEST_CASE("of too many names those go that were not used for longest") {
  const TempDir state;
  const fs::path file = state.path() / "domain.names";
  FakeBackend backend;
  const auto numbered = [](std::uint32_t number) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    return Uuid(bytes);
  };
  const auto keep = [&](DomainNames& names, std::uint32_t number) {
    names.announce(numbered(number), "vm-" + std::to_string(number));
    good(names.keep(numbered(number)));
  };
  constexpr std::uint32_t kMany = DomainNames::kKept;
  Capabilities first(backend);
  good(first.names().keep_in(file));
  for (std::uint32_t number = 1; number <= kMany; ++number) keep(first.names(), number);
  Capabilities second(backend);
  good(second.names().keep_in(file));
  CHECK(second.names().of(numbered(1)).name == "vm-1");
  keep(second.names(), kMany + 1);
  Capabilities third(backend);
  good(third.names().keep_in(file));
  CHECK(third.names().of(numbered(1)).name == "vm-1");
  CHECK(third.names().of(numbered(2)).name.empty());
  CHECK(third.names().of(numbered(kMany + 1)).name == "vm-" + std::to_string(kMany + 1));
}

}  // namespace vmsec::test
