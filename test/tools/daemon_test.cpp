// vmsecd's configuration: what is documented works, what is wrong is found.
#include <signal.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;

namespace {

// The example of docs/configuration.md, with its files beside it.
struct Documented {
  TempDir folder;
  std::string config = folder / "vmsecd.toml";
  std::string text;
  Documented() {
    const std::string manual = read_file(std::string(VMSEC_SOURCE_DIR) + "/docs/configuration.md");
    const auto begin = manual.find("```toml\n") + 8;
    text = manual.substr(begin, manual.find("```", begin) - begin);
    REQUIRE(tool({"pki", "init", folder / "ca", "--name", "Test"}).code == 0);
    REQUIRE(tool({"pki", "issue", folder / "ca", "host-a", "--out", folder.path()}).code == 0);
    REQUIRE(tool({"pki", "placement-key", folder / "placement.key"}).code == 0);
    for (const auto* file : {"ca.crt", "ca.crl"}) std::filesystem::copy(folder.path() / "ca" / file, folder / file);
    write_file(folder / "policy.toml", "version = 1\n");
    std::filesystem::copy(std::string(VMSEC_BINARY_DIR) + "/test/trust.toml", folder / "trust.toml");
    // No code of theirs runs: they only must be there, and signed. Another plugin does in kvm's place.
    place("plugins/sim", "kvm");
    for (const auto* module : {"isolation", "throttle", "migration", "measured_boot"})
      place(std::string("modules/") + module, module);
    text.insert(text.find("[host]\n") + 7, "plugin_path = [\".\"]\nmodule_path = [\".\"]\n");
  }
  void place(const std::string& built, const std::string& name) const {
    for (const auto* end : {".so", ".so.sig"})
      std::filesystem::copy(std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/" + built + end, folder / (name + end));
  }
  [[nodiscard]] Ran check(const std::string& content) const {
    write_file(config, content);
    return run("vmsecd", {"--check", "--config", config});
  }
  [[nodiscard]] std::string with(const std::string& from, const std::string& to) const {
    std::string changed = text;
    const auto at = changed.find(from);
    REQUIRE(at != std::string::npos);
    return changed.replace(at, from.size(), to);
  }
};

}  // namespace

TEST_CASE("the documented configuration is good") {
  const Documented example;
  const Ran ran = example.check(example.text);
  INFO(ran.err);
  CHECK(ran.code == 0);
  CHECK(ran.out.find(": good") != std::string::npos);
}

TEST_CASE("every mistake in a configuration is found, with its cause") {
  const Documented example;
  const std::vector<std::pair<std::string, std::string>> mistakes = {
      {example.with("[host]", "[hots]"), "hots."},
      {example.with("plugin = \"kvm\"", "plugin = 3"), "backend.plugin"},
      {example.with("policy = ", "polcy = "), "polcy"},
      {example.with("name = \"host-a\"", "name = \"Host A\""), "host.name"},
      {example.with("192.0.2.1:7443", "192.0.2.1"), "port is missing"},
      {example.with("192.0.2.1:7443", "192.0.2.1:70000"), "port is no number"},
      {example.with("192.0.2.2:7443", ":7443"), "address is missing"},
      {example.with("ca = \"ca.crt\"", "ca = \"no.crt\""), "identity.ca"},
      {example.with("ca = \"ca.crt\"\n", ""), "identity.ca is missing"},
      {example.with("certificate = \"host-a.crt\"", "certificate = \"policy.toml\""), "policy.toml"},
      {example.with("placement.key.pub", "nobody.pub"), "placement_keys"},
      {example.with("policy = \"policy.toml\"", "policy = \"none.toml\""), "none.toml"},
      {example.with("address = \"192.0.2.2:7443\"", ""), "[[peer]]"},
      {example.with("[backend]", "[backend"), "vmsecd.toml:"},
      {example.with("modules = [", "modules = [[1], "), "modules"}};
  for (const auto& [content, cause] : mistakes) {
    const Ran ran = example.check(content);
    INFO(content << "\n" << ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(cause) != std::string::npos);
    CHECK(ran.err.find("\n        next: ") != std::string::npos);
  }
}

TEST_CASE("--check finds what the start would refuse of identity, plugin and modules") {
  const Documented example;
  const auto refused = [&](const std::string& content, const std::string& cause, int code = 2) {
    const Ran ran = example.check(content);
    INFO(content << "\n" << ran.err);
    CHECK(ran.code == code);
    CHECK(ran.err.find(cause) != std::string::npos);
  };
  refused(example.with("name = \"host-a\"", "name = \"host-b\""), "its certificate is \"host-a\"'s");
  refused(example.with("placement.key.pub", "host-a.crt"), "it is this host's own key", 3);
  refused(example.with("plugin = \"kvm\"", "plugin = \"sym\""), "find plugin sym");
  refused(example.with("\"throttle\"", "\"throtle\""), "find module throtle");
  refused(example.with("trust = \"trust.toml\"", "trust = \"none.toml\""), "none.toml");
  REQUIRE(tool({"pki", "issue", example.folder / "ca", "host-b", "--out", example.folder.path()}).code == 0);
  refused(example.with("key = \"host-a.key\"", "key = \"host-b.key\""), "not the key of");
  std::filesystem::permissions(example.folder / "host-a.key", std::filesystem::perms(0644));
  refused(example.text, "others may read it", 3);
}

TEST_CASE("a policy with findings is found by --check, line by line") {
  const Documented example;
  write_file(example.folder / "policy.toml", "version = 1\n[[vm]]\nmatch = 3\n");
  const Ran ran = example.check(example.text);
  CHECK(ran.code == 2);
  CHECK(ran.err.find("policy.toml:3:9") != std::string::npos);
}

TEST_CASE("a wrong command line or a missing configuration is a mistake") {
  CHECK(run("vmsecd", {"--serve"}).code == 2);
  CHECK(run("vmsecd", {"--ready-fd", "-4"}).code == 2);
  CHECK(run("vmsecd", {"--config", "/nonexistent/vmsecd.toml"}).code != 0);
}
