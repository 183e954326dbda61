#include "libvmsec/host/toys.hpp"
#include "libvmsec/loader/signed.hpp"

namespace vmsec::test {

using namespace host;

TEST_CASE("a call reaches the module that provides the interface") {
  Toys toys({"toy"});
  const auto found =
      good(wire::unpack<Findings>(good(toys.registry.call("vmsec.Enforcement", 1, wire::pack(Settings{})))));
  CHECK(found.findings.empty());
  CHECK(toys.registry.call("toy:vmsec.Enforcement", 1, wire::pack(Settings{})));
  CHECK(toys.registry.find("toy") != nullptr);
  CHECK(toys.registry.find("to") == nullptr);
}

TEST_CASE("where two modules provide an interface, the caller must name one") {
  Toys toys({"toy", "toy_two"});
  const auto plain = toys.registry.call("vmsec.Enforcement", 1, wire::pack(Settings{}));
  CHECK(code_of(plain) == Code::invalid_argument);
  CHECK_THAT(message_of(plain), Catch::Contains("toy_two:vmsec.Enforcement"));
  CHECK(toys.registry.call("toy_two:vmsec.Enforcement", 1, wire::pack(Settings{})));
}

TEST_CASE("a module or an interface that is not there is named") {
  Toys toys({"toy"});
  for (const char* name : {"vmsec.Migrator", "toy:vmsec.Migrator", "other:vmsec.Enforcement", "", ":", "a:b:c"}) {
    const auto call = toys.registry.call(name, 1, {});
    INFO(name);
    CHECK(code_of(call) == Code::not_found);
  }
  CHECK_THAT(message_of(toys.registry.call("other:vmsec.Enforcement", 1, {})), Catch::Contains("\"other\""));
}

TEST_CASE("what a module's manifest promises and its code lacks is an error, no crash") {
  Toys toys({"toy"});
  CHECK(code_of(toys.registry.call("vmsec.PeerHandler", 1, {})) == Code::not_found);
  CHECK(code_of(toys.registry.call("vmsec.Enforcement", 99, {})) == Code::unsupported);
  CHECK(code_of(toys.registry.call("vmsec.Enforcement", 1, Packet{"\xff", {}})) == Code::invalid_argument);
}

TEST_CASE("an exception in a module ends at its door") {
  Toys toys({"toy"});
  Settings section;
  section.settings.push_back(Setting{"throws", SettingType::boolean, {}, 0, true, 0, {}, 1, 1});
  const auto call = toys.registry.call("vmsec.Enforcement", 1, wire::pack(section));
  CHECK(code_of(call) == Code::internal);
  CHECK_THAT(message_of(call), Catch::Contains("toy threw"));
}

TEST_CASE("a module that refuses to start is not loaded, and says why") {
  Toys toys({});
  Settings settings;
  settings.settings.push_back(Setting{"broken", SettingType::boolean, {}, 0, true, 0, {}, 1, 1});
  CHECK(code_of(toys.load("toy", settings)) == Code::invalid_argument);
  CHECK(toys.registry.modules().empty());
}

TEST_CASE("what is no module does not load") {
  TempDir dir;
  const SigningKey key(dir, "maker");
  const Trust trust = trust_in(key.trusted({TrustRole::module}));
  spit(dir.path() / "text.so", "no object at all");
  const auto load = [&](const char* name) { return loader::ModuleFile::open((dir.path() / name).string(), trust); };
  CHECK(code_of(load("text.so")) == Code::untrusted);
  key.sign(dir.path() / "text.so");
  CHECK(code_of(load("text.so")) == Code::unsupported);
  CHECK(code_of(load("none.so")) == Code::io);
  const std::string whole = slurp(Toys::file("toy"));
  // Cut anywhere, it is refused before the dynamic linker maps it and dies.
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{3}, std::size_t{64}, std::size_t{4000}, std::size_t{8192}}) {
    spit(dir.path() / "cut.so", whole.substr(0, size));
    key.sign(dir.path() / "cut.so");
    const auto cut = load("cut.so");
    INFO(size << " bytes: " << message_of(cut));
    CHECK(code_of(cut) == Code::unsupported);
  }
}

TEST_CASE("a module is described by its manifest and the digest of its file") {
  Toys toys({"toy"});
  const ModuleInfo info = describe(*toys.registry.find("toy"));
  CHECK(info.name == "toy");
  CHECK(info.section == "toy");
  CHECK(info.digest.size() == 64);
  CHECK(info.needs == std::vector<std::string>{"vmsec.DomainControl", "vmsec.Interchange"});
}

TEST_CASE("a bad manifest is refused with its place") {
  const auto parse = [](std::string_view text) { return loader::parse_manifest(text, "x.so"); };
  CHECK(parse("name = \"x\"\nversion = \"1\"\n"));
  CHECK_THAT(message_of(parse("name = \"x\"\nversion = \"1\"\ncolour = \"red\"\n")),
             Catch::StartsWith("manifest of x.so:3:"));
  CHECK_THAT(message_of(parse("name = 1\nversion = \"1\"\n")), Catch::StartsWith("manifest of x.so:1:"));
  CHECK_THAT(message_of(parse("name = \"x\"\nversion = \"1\"\nneeds = \"a\"\n")), Catch::Contains(":3:"));
  CHECK(code_of(parse("version = \"1\"\n")) == Code::invalid_argument);
  CHECK(code_of(parse("name = [")) == Code::invalid_argument);
  CHECK(code_of(parse(std::string(100'000, '#'))) == Code::limit_exceeded);
  CHECK(code_of(parse(std::string_view("name = \"x\0\"\nversion = \"1\"\n", 25))) == Code::invalid_argument);
}

}  // namespace vmsec::test
