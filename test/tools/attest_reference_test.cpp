// vmsec attest learn --log, explain, diff: files in, no agent.
#include <catch2/catch.hpp>

#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;

namespace {

const std::string kLog = VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35.bin";

// The same boot with another initrd: its event's digest begins so.
std::string updated_log() {
  std::string log = read_file(kLog);
  const auto place = log.find("\x24\xb2\x8b\x91\x1d\x26\x44\xe4");
  REQUIRE(place != std::string::npos);
  log[place] ^= 1;
  return log;
}

}  // namespace

TEST_CASE("a reference is learned from logs, explained and compared, without an agent") {
  const TempDir folder;
  const std::string reference = folder / "reference.toml";
  const std::string updated = folder / "updated.bin";
  write_file(updated, updated_log());

  const Ran learned = tool({"attest", "learn", "--log", kLog, "-o", reference});
  INFO(learned.err);
  REQUIRE(learned.code == 0);
  CHECK(tool({"attest", "learn", "--log", kLog, "-o", reference}).code == 2);  // never over one that is there
  CHECK(tool_json({"attest", "explain", reference, "--log", kLog})["accepted"] == true);
  const auto refused = tool_json({"attest", "explain", reference, "--log", updated}, 3);
  CHECK(refused["cause"].get<std::string>().find("PCR 9 is ") == 0);
  CHECK(tool({"attest", "explain", reference, "--log", updated}).code == 3);

  CHECK(tool_json({"attest", "diff", reference, "--log", kLog})["differences"].empty());
  CHECK(tool_json({"attest", "diff", reference, "--log", updated}, 5)["differences"].size() == 2);
  const auto changed = tool_json({"attest", "diff", kLog, updated}, 5)["differences"];
  REQUIRE(changed.size() == 1);
  CHECK(changed[0]["change"] == "changed");
  CHECK(changed[0]["pcr"] == 9);

  const std::string both = folder / "both.toml";
  REQUIRE(tool({"attest", "learn", "--log", updated, "--base", reference, "-o", both}).code == 0);
  for (const auto& log : {kLog, updated}) CHECK(tool({"attest", "explain", both, "--log", log}).code == 0);
}

TEST_CASE("the files that a kernel has measured are learned, explained and compared") {
  const TempDir folder;
  const std::string reference = folder / "reference.toml";
  const std::string boot = VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35-ima.";
  const Ran learned = tool({"attest", "learn", "--log", boot + "bin", "--ima", boot + "list", "-o", reference});
  INFO(learned.err);
  REQUIRE(learned.code == 0);
  CHECK(learned.err.find("note: ovmf-q35-ima.bin IMA entry 5 (/tmp/open): a violation, refused") == 0);
  const std::vector<std::string> explain{"attest", "explain", reference, "--log", boot + "bin", "--ima", boot + "list"};
  CHECK(tool_json(explain, 3)["cause"].get<std::string>().find("IMA entry 5 (/tmp/open): a violation") == 0);
  write_file(reference, read_file(reference) + "violations = true\n");
  const auto accepted = tool_json(explain);
  CHECK(accepted["accepted"] == true);
  CHECK(accepted["cause"].is_null());
  CHECK(accepted["pcrs"].back()["rules"] == nlohmann::json{"ima"});
  CHECK(tool({"attest", "diff", reference, "--log", boot + "bin", "--ima", boot + "list"}).code == 0);
  CHECK(tool_json({"attest", "explain", reference, "--log", boot + "bin"})["not_judged"] == nlohmann::json{10});
  CHECK(tool({"attest", "explain", reference, "--log", boot + "bin", "--ima", boot + "bin"}).code == 2);
}

TEST_CASE("what is wrong with a log or a wish is the caller's mistake") {
  const TempDir folder;
  CHECK(tool({"attest", "learn", "host-b", "--log", kLog}).code == 2);
  CHECK(tool({"attest", "learn", "--base", folder / "none.toml"}).code == 2);
  CHECK(tool({"attest", "learn", "--log", folder / "none.bin"}).code == 2);
  CHECK(tool({"attest", "learn", "--log", kLog, "--bank", "md5"}).code == 2);
  CHECK(tool({"attest", "diff", kLog}).code == 2);
  CHECK(tool({"attest", "diff", kLog, kLog, "--ima", kLog}).code == 2);
  CHECK(tool({"attest", "learn", "--log", kLog, "--log", kLog, "--ima", kLog}).code == 2);
  CHECK(tool({"attest", "learn", "--modules", kLog}).code == 2);
  CHECK(tool({"attest", "explain", folder / "none.toml", "--log", kLog}).code == 2);
}
