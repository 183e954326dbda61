// vmsec module key, sign, verify, inspect, trust: as an operator and a vendor use them.
#include <sys/stat.h>

#include <array>
#include <catch2/catch.hpp>
#include <ctime>

#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;
using Words = std::vector<std::string>;

namespace {

// A vendor's module, signed with its key, and an operator's store.
struct Vendor {
  TempDir folder;
  std::string key = folder / "acme.key";
  std::string module = folder / "throttle.so";
  std::string store = folder / "trust.toml";

  Vendor() {
    REQUIRE(tool({"module", "key", key}).code == 0);
    std::filesystem::copy(std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/modules/throttle.so", module);
    REQUIRE(tool({"module", "sign", module, "--key", key}).code == 0);
  }
  Ran trust(Words words) const {
    words.insert(words.begin(), {"module", "trust"});
    words.insert(words.end(), {"--trust", store});
    return tool(words);
  }
  [[nodiscard]] Ran verify() const { return tool({"module", "verify", module, "--trust", store}); }
  [[nodiscard]] nlohmann::json inspect() const { return tool_json({"module", "inspect", module, "--trust", store}); }
};

}  // namespace

TEST_CASE("a vendor signs, an operator trusts, verifies and revokes") {
  const Vendor vendor;
  REQUIRE(vendor.trust({"add", "acme", vendor.key + ".pub", "--until", "2999-12-31"}).code == 0);
  CHECK(vendor.verify().out.find("signed by acme, and loads") != std::string::npos);
  CHECK(vendor.inspect()["signer"] == "acme");
  CHECK(vendor.inspect()["refusals"].empty());
  CHECK(vendor.inspect()["abi"]["major"] == 1);

  CHECK(vendor.trust({"add", "nobody"}).err.find("the shipped store") != std::string::npos);
  for (int i = 0; i < 2; ++i)  // in the place of itself, too
    CHECK(vendor.trust({"add", "vmsec-build", "--role", "in-process"}).out.find("module, plugin, in-process") !=
          std::string::npos);
  REQUIRE(vendor.trust({"remove", "vmsec-build"}).code == 0);

  REQUIRE(vendor.trust({"minimum", "throttle", "99"}).code == 0);
  Ran refused = vendor.verify();
  CHECK(refused.code == 3);
  CHECK(refused.err.find("older than the 99") != std::string::npos);
  REQUIRE(vendor.trust({"minimum", "throttle", "0.1"}).code == 0);
  CHECK(vendor.verify().code == 0);

  REQUIRE(vendor.trust({"revoke", vendor.inspect()["sha256"], "--reason", "CVE-2031-1"}).code == 0);
  refused = vendor.verify();
  CHECK(refused.code == 3);
  CHECK(refused.err.find("CVE-2031-1") != std::string::npos);

  REQUIRE(vendor.trust({"revoke", "acme", "--reason", "was stolen"}).code == 0);
  CHECK(vendor.trust({"remove", "acme"}).code == 3);  // or another store could trust it again
  const auto store = tool_json({"module", "trust", "list", "--trust", vendor.store})["operator"];
  CHECK(store["keys"][0]["reason"] == "was stolen");
  CHECK(store["minimums"][0]["version"] == "0.1");
}

TEST_CASE("what is not trusted is refused for security, and inspected all the same") {
  const Vendor vendor;
  CHECK(tool({"module", "verify", vendor.module}).code == 3);
  const auto report = tool_json({"module", "inspect", vendor.module});
  CHECK(report["signer"] == "");
  CHECK(report["refusals"][0]["code"] == "untrusted");
  CHECK(report["name"] == "throttle");
  REQUIRE(vendor.trust({"add", "acme", vendor.key + ".pub"}).code == 0);
  std::string bytes = read_file(vendor.module);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(vendor.module, bytes);
  CHECK(vendor.verify().code == 3);
  CHECK(vendor.inspect()["refusals"][0]["code"] == "tampered");
}

TEST_CASE("a folder with an untrusted module is scanned without running it, and no host loads it") {
  const Vendor vendor;
  const auto modules = tool_json({"module", "list", "--scan", "--module-path", vendor.folder.path()})["modules"];
  REQUIRE(modules.size() == 1);
  CHECK(modules[0]["name"] == "throttle");
  CHECK(modules[0]["problem"].get<std::string>().find("nobody trusts key \"acme\"") != std::string::npos);
  std::filesystem::copy(std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/modules/isolation.so",
                        vendor.folder / "isolation.so");
  const Words host = {"--plugin",      "sim",
                      "--plugin-path", std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/plugins",
                      "--module-path", vendor.folder.path(),
                      "--state",       vendor.folder / "state"};
  Words words = host;
  words.insert(words.end(), {"module", "list"});
  const Ran ran = tool(words);
  INFO(ran.err);
  CHECK(ran.code == 3);
  CHECK(ran.err.find("isolation.so: it is not signed") != std::string::npos);
  const auto records = tool_json({"audit", "show", "--state", vendor.folder / "state"})["records"];
  CHECK(records.back()["action"] == "module.refuse");
}

namespace {

nlohmann::json probe_of(const Vendor& vendor, const std::string& name) {
  const auto ran = tool({"doctor", "--json", "--trust", vendor.store, "--module-path", vendor.folder.path()});
  const auto found = nlohmann::json::parse(ran.out);
  for (const auto& probe : found["probes"])
    if (probe["name"] == name) return probe;
  return {};
}

std::string day_in(int days) {
  const std::time_t time = std::time(nullptr) + std::time_t{days} * 24 * 60 * 60;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 16> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts);
  return text.data();
}

}  // namespace

TEST_CASE("doctor finds keys whose time ends, stores that others may write, and what would not load") {
  const Vendor vendor;
  REQUIRE(vendor.trust({"add", "acme", vendor.key + ".pub", "--until", day_in(200)}).code == 0);
  CHECK(probe_of(vendor, "operator's store")["standing"] == "ok");
  CHECK(probe_of(vendor, "key acme").is_null());
  CHECK(probe_of(vendor, "modules")["standing"] == "ok");

  REQUIRE(vendor.trust({"remove", "acme"}).code == 0);
  const auto stranger = probe_of(vendor, "module throttle");
  CHECK(stranger["standing"] == "missing");
  CHECK(stranger["next"].get<std::string>().find("vmsec module trust add") != std::string::npos);

  REQUIRE(vendor.trust({"add", "acme", vendor.key + ".pub", "--until", day_in(10)}).code == 0);
  CHECK(probe_of(vendor, "key acme")["standing"] == "attention");
  REQUIRE(vendor.trust({"remove", "acme"}).code == 0);
  REQUIRE(vendor.trust({"add", "acme", vendor.key + ".pub", "--until", day_in(-10)}).code == 0);
  CHECK(probe_of(vendor, "key acme")["standing"] == "missing");
  CHECK(probe_of(vendor, "module throttle")["detail"].get<std::string>().find("was trusted until") !=
        std::string::npos);
  REQUIRE(vendor.trust({"revoke", "acme", "--reason", "was stolen"}).code == 0);
  CHECK(probe_of(vendor, "key acme")["detail"].get<std::string>().find("was stolen") != std::string::npos);

  std::filesystem::permissions(vendor.folder.path(), std::filesystem::perms(0777));
  CHECK(probe_of(vendor, "operator's store")["standing"] == "attention");
  std::filesystem::permissions(vendor.store, std::filesystem::perms(0666));
  const auto open = probe_of(vendor, "operator's store");
  CHECK(open["standing"] == "missing");
  CHECK(open["next"].get<std::string>().find("chmod go-w") != std::string::npos);
}

TEST_CASE("a store is only changed to one that can be read, by who may") {
  const Vendor vendor;
  REQUIRE(vendor.trust({"add", "acme", vendor.key + ".pub"}).code == 0);
  const std::string before = read_file(vendor.store);
  for (const Words& words : {Words{"add", "acme", vendor.key + ".pub"},
                             {"add", "again", vendor.key + ".pub"},
                             {"add", "Bad Name", vendor.key + ".pub"},
                             {"add", "late", vendor.key + ".pub", "--until", "soon"},
                             {"add", "none", vendor.folder / "none.pub"},
                             {"add", "none", vendor.module},
                             {"minimum", "throttle", "new"},
                             {"remove", "nobody"},
                             {"revoke", "nobody"}}) {
    const Ran ran = vendor.trust(words);
    INFO(words[0] << " " << words[1] << ": " << ran.err);
    CHECK(ran.code == 2);
  }
  CHECK(read_file(vendor.store) == before);
  REQUIRE(::chmod(vendor.store.c_str(), 0666) == 0);
  CHECK(vendor.trust({"remove", "acme"}).code == 3);
  CHECK(vendor.verify().code == 3);
  CHECK(read_file(vendor.store) == before);
  REQUIRE(::chmod(vendor.store.c_str(), 0644) == 0);
  CHECK(vendor.trust({"remove", "acme"}).code == 0);
  CHECK(vendor.verify().code == 3);
}

TEST_CASE("the key of the shipped store can be revoked by name") {
  const TempDir folder;
  const std::string store = folder / "trust.toml";
  REQUIRE(tool({"module", "trust", "revoke", "vmsec-build", "--trust", store}).code == 0);
  const std::string module = std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/modules/throttle.so";
  CHECK(tool({"module", "verify", module, "--trust", store}).code == 3);
  CHECK(tool({"module", "verify", std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/plugins/sim.so", "--kind", "plugin"})
            .code == 0);
}
