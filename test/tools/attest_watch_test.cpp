// vmsec attest status, watch and revoke, against hosts with a TPM each (by swtpm).
#include <catch2/catch.hpp>
#include <sstream>

#include "tools/two_hosts.hpp"

using namespace vmsec::test;

namespace {

bool skipped() {
  if (has_software_tpm()) return false;
  WARN("SKIPPED: swtpm is not installed");
  return true;
}

nlohmann::json changes_after(const TwoHosts& hosts, int number, int count) {
  const Ran ran = hosts.text(
      "host-a", {"attest", "watch", "--after", std::to_string(number), "--count", std::to_string(count), "--json"});
  INFO(ran.out << ran.err);
  REQUIRE(ran.code == 0);
  auto lines = nlohmann::json::array();
  std::istringstream text(ran.out);
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("the verdict on a host is shown, its changes are followed, and an operator revokes it") {
  if (skipped()) return;
  TwoHosts hosts(Boot::measured);
  hosts.start();
  REQUIRE(hosts.text("host-a", {"attest", "enrol", "host-b"}).code == 0);
  const auto unknown = hosts.json("host-a", {"attest", "status"}, 1);
  REQUIRE(unknown["hosts"].size() == 1);
  CHECK(unknown["hosts"][0]["verdict"] == "unknown");
  CHECK(unknown["watch_seconds"] == 0);
  const Ran never = hosts.text("host-a", {"attest", "status"});
  CHECK(never.code == 1);
  CHECK(never.out.find("never") != std::string::npos);
  CHECK(never.err.find("watch_seconds is not set") != std::string::npos);

  write_file(hosts.folder / "reference.toml", hosts.text("host-a", {"attest", "learn", "host-b"}).out);
  CHECK(hosts.text("host-a", {"attest", "host-b"}).code == 0);
  CHECK(hosts.text("host-a", {"attest", "status", "host-b"}).code == 0);

  const auto revoked = hosts.json("host-a", {"attest", "revoke", "host-b", "--reason", "stolen"});
  CHECK(revoked["verdict"] == "untrusted");
  CHECK(revoked["revoked"] == true);
  const Ran table = hosts.text("host-a", {"attest", "status"});
  CHECK(table.code == 3);
  CHECK(table.out.find("HOST") == 0);
  CHECK(table.out.find("revoked by an operator: stolen") != std::string::npos);
  CHECK(hosts.json("host-a", {"attest", "host-b"}, 3)["cause"] == "revoked by an operator: stolen");
  CHECK(hosts.text("host-a", {"attest", "enrol", "host-b"}).code == 3);

  const auto changes = changes_after(hosts, 0, 2);
  REQUIRE(changes.size() == 2);
  CHECK(changes[0]["after"] == "trusted");
  CHECK(changes[1]["before"] == "trusted");
  CHECK(changes[1]["after"] == "untrusted");
  CHECK(changes[1]["host"] == "host-b");
  const Ran text = hosts.text("host-a", {"attest", "watch", "--count", "2"});
  CHECK(text.out.find("trusted to untrusted") != std::string::npos);
  CHECK(text.out.find("host-b  revoked by an operator: stolen") != std::string::npos);

  // It outlives the agent.
  hosts.kill("host-a");
  hosts.start("host-a");
  CHECK(hosts.text("host-a", {"attest", "host-b"}).code == 3);

  CHECK(hosts.json("host-a", {"attest", "revoke", "host-b", "--undo", "--reason", "found again"})["verdict"] ==
        "unknown");
  CHECK(hosts.text("host-a", {"attest", "host-b"}).code == 0);
  CHECK(hosts.text("host-a", {"attest", "status"}).code == 0);
}

TEST_CASE("an agent that watches a host tells that it can no longer be reached") {
  if (skipped()) return;
  TwoHosts hosts(Boot::measured);
  hosts.start();
  REQUIRE(hosts.text("host-a", {"attest", "enrol", "host-b"}).code == 0);
  write_file(hosts.folder / "reference.toml", hosts.text("host-a", {"attest", "learn", "host-b"}).out);
  std::string config = read_file(hosts.folder / "host-a.toml");
  const std::string table = "[module.measured_boot]\n";
  config.insert(config.find(table) + table.size(), "watch_seconds = 5\n");
  write_file(hosts.folder / "host-a.toml", config);
  hosts.kill("host-a");
  hosts.start("host-a");
  CHECK(changes_after(hosts, 0, 1)[0]["after"] == "trusted");
  CHECK(hosts.json("host-a", {"attest", "status"})["watch_seconds"] == 5);
  hosts.kill("host-b");
  const auto down = changes_after(hosts, 1, 1)[0];
  CHECK(down["before"] == "trusted");
  CHECK(down["after"] == "unreachable");
  CHECK(hosts.text("host-a", {"attest", "status"}).code == 1);
}

TEST_CASE("a host that is not enrolled has no verdict, and cannot be revoked") {
  TwoHosts hosts;  // without a TPM
  hosts.start();
  const Ran none = hosts.text("host-a", {"attest", "status"});
  CHECK(none.code == 0);
  CHECK(none.out == "no host is enrolled\n");
  const Ran one = hosts.text("host-a", {"attest", "status", "host-b"});
  CHECK(one.code != 0);
  CHECK(one.err.find("host host-b is not enrolled") != std::string::npos);
  const Ran revoked = hosts.text("host-a", {"attest", "revoke", "host-b", "--reason", "stolen"});
  CHECK(revoked.code != 0);
  CHECK(revoked.err.find("not enrolled") != std::string::npos);
  CHECK(hosts.text("host-a", {"attest", "revoke", "host-b"}).code == 2);
}
