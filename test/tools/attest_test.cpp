// vmsec attest, against hosts with a TPM each (by swtpm).
#include <catch2/catch.hpp>

#include "tools/two_hosts.hpp"

using namespace vmsec::test;

namespace {

bool skipped() {
  if (has_software_tpm()) return false;
  WARN("SKIPPED: swtpm is not installed");
  return true;
}

}  // namespace

TEST_CASE("a host enrols, learns from and attests another, and attests itself") {
  if (skipped()) return;
  TwoHosts hosts(Boot::measured);
  hosts.start();

  const auto enrolment = hosts.json("host-a", {"attest", "enrol", "host-b"});
  const std::string key = enrolment["attestation_key"];
  CHECK(key.size() == 64);
  const Ran again = hosts.text("host-a", {"attest", "enrol", "host-b", "--replace"});
  INFO(again.out << again.err);
  CHECK(again.out.find("  " + key + "\n") != std::string::npos);  // as in --json, and as the audit log says
  CHECK(again.out.find("  " + enrolment["endorsement_key"].get<std::string>() + "\n") != std::string::npos);

  const Ran learned = hosts.text("host-a", {"attest", "learn", "host-b"});
  REQUIRE(learned.code == 0);
  write_file(hosts.folder / "reference.toml", learned.out);

  const Ran other = hosts.text("host-a", {"attest", "host-b"});
  INFO(other.out << other.err);
  CHECK(other.code == 0);
  CHECK(other.out.find("  " + key + "\n") != std::string::npos);
  const auto local = hosts.json("host-a", {"attest", "--local"});
  CHECK(local["verdict"] == "trusted");
  CHECK(local["pcrs"].size() > 7);
}

TEST_CASE("attest --local asks this host, which needs no peer of its own name") {
  TwoHosts hosts;  // without a TPM
  hosts.start();
  write_file(hosts.folder / "reference.toml",
             "version = 1\npcrs = [4]\n[pcr.4]\nvalues = [\"" + std::string(64, 'a') + "\"]\n");
  const Ran ran = hosts.text("host-a", {"attest", "--local"});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 1);
  CHECK(ran.out.find("unreachable") != std::string::npos);
  CHECK(ran.out.find("resets") == std::string::npos);  // nothing was verified, so no figures
  CHECK(ran.out.find("verified") == std::string::npos);
  CHECK(hosts.json("host-a", {"attest", "--local"}, 1)["verdict"] == "unreachable");
}

TEST_CASE("what is asked of a guest names what is missing, and releases nothing") {
  TwoHosts hosts;
  hosts.start();
  write_file(hosts.folder / "disk.key", "secret");
  const std::string file = hosts.folder / "disk.key";
  const auto refused = [&](std::vector<std::string> command, const std::string& words) {
    const Ran ran = hosts.text("host-a", std::move(command));
    INFO(ran.out << ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find(words) != std::string::npos);
    CHECK((ran.out + ran.err).find("secret disk.key is with the guest") == std::string::npos);
  };
  refused({"attest", "enrol"}, "name a host, or a VM by --guest");
  refused({"attest", "enrol", "host-b", "--guest", "web-1"}, "excludes");
  refused({"attest", "enrol", "--guest", "web-1"}, "simulated guests run no agent");
  refused({"attest", "guest", "web-1"}, "guest_references = ");
  refused({"attest", "guest", "web-9"}, "web-9");
  refused({"attest", "learn", "--guest", "web-1"}, "is not enrolled");
  refused({"attest", "release", "web-1", "--secret-file", file}, "guest_references = ");
  refused({"attest", "release", "web-1", "--secret-file", "/does/not/exist"}, "read secret /does/not/exist");
  refused({"attest", "release", "web-1", "--secret-file", file, "--name", "../x"}, "secret name \"../x\"");
  write_file(file, "");
  refused({"attest", "release", "web-1", "--secret-file", file}, "is empty");
}
