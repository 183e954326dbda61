// vmsec attest log: files that need neither host nor agent.
#include <catch2/catch.hpp>
#include <fstream>

#include "evidence/ima_lists.hpp"
#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;
namespace boot_test = vmsec::boot::test;

namespace {

constexpr const char* kLog = VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35.bin";

}  // namespace

TEST_CASE("attest log prints each event, and the PCRs that the TPM had") {
  const Ran ran = tool({"attest", "log", kLog});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK(ran.out.find("EV_EFI_VARIABLE_DRIVER_CONFIG") != std::string::npos);
  CHECK(ran.out.find("SecureBoot: off") != std::string::npos);
  CHECK(ran.out.find("remark") == std::string::npos);
  std::ifstream pcrs(VMSEC_SOURCE_DIR "/test/data/eventlogs/ovmf-q35.pcrs");
  std::string bank;
  std::string value;
  int pcr = 0;
  while (pcrs >> bank >> pcr >> value)
    if (pcr < 10) CHECK(ran.out.find(value) != std::string::npos);
}

TEST_CASE("attest log --json has every digest, the data, the remarks and the PCRs") {
  const auto log = tool_json({"attest", "log", kLog});
  REQUIRE(log["events"].size() == 25);
  const auto& kernel = log["events"][10];
  CHECK(kernel["part"] == "kernel");
  CHECK(kernel["type"] == "EV_EFI_BOOT_SERVICES_APPLICATION");
  CHECK(kernel["digests"]["sha1"].get<std::string>().size() == 40);
  CHECK(kernel["digests"]["sha256"].get<std::string>().size() == 64);
  CHECK(kernel["remarks"].empty());
  CHECK(log["remarks"].empty());
  CHECK(log["pcrs"].size() == 2 * 9);  // PCR 0 to 7 and 9, of both banks
}

TEST_CASE("attest log shows the PCRs and the bank that are asked for") {
  const auto log = tool_json({"attest", "log", "--pcr", "7,9", kLog});
  CHECK(log["events"].size() == 8);
  CHECK(log["pcrs"].size() == 4);
  CHECK(tool({"attest", "log", kLog, "--pcr", "0"}).out.find("SecureBoot") == std::string::npos);
  CHECK(tool({"attest", "log", kLog, "--bank", "sha1"}).out.find("DIGEST (sha1)") != std::string::npos);
  for (const auto* bank : {"sha384", "md5"}) {
    const Ran ran = tool({"attest", "log", kLog, "--bank", bank});
    CHECK(ran.code == 2);
    CHECK(ran.err.find("--bank " + std::string(bank)) != std::string::npos);
    CHECK(ran.out.empty());
  }
}

TEST_CASE("attest log remarks on an event whose data was changed, and refuses a log that is cut") {
  const TempDir folder;
  std::string log = read_file(kLog);
  const auto at =
      log.find(std::string("t\0\0", 3), log.find(std::string("B\0o\0o\0t\0", 8)));  // SecureBoot, and its value
  REQUIRE(at != std::string::npos);
  log[at + 2] = 1;
  write_file(folder / "changed.bin", log);
  const Ran changed = tool({"attest", "log", folder / "changed.bin"});
  INFO(changed.out << changed.err);
  CHECK(changed.code == 0);
  CHECK(changed.out.find("SecureBoot: on") != std::string::npos);
  CHECK(changed.out.find("remark: event 4: its digest is not that of the data shown here") != std::string::npos);

  write_file(folder / "cut.bin", log.substr(0, log.size() - 1));
  const Ran cut = tool({"attest", "log", folder / "cut.bin"});
  CHECK(cut.code == 2);
  CHECK(cut.out.empty());
  CHECK(cut.err.find("event 24: the event's data needs") != std::string::npos);
  CHECK(tool({"attest", "log", folder / "none.bin"}).code == 2);
}

TEST_CASE("attest log --ima prints entries and where they lead by both conventions") {
  using boot_test::ima_entry;
  const TempDir folder;
  const std::string list = ima_entry("ima-ng", boot_test::ng_data("boot_aggregate")) +
                           ima_entry("ima-sig", boot_test::ng_data("/bin/sh") + boot_test::field("sig")) +
                           boot_test::violation("/tmp/open");
  write_file(folder / "ima.bin", list);
  const Ran ran = tool({"attest", "log", "--ima", folder / "ima.bin"});
  INFO(ran.out << ran.err);
  CHECK(ran.code == 0);
  CHECK(ran.out.find("/bin/sh") != std::string::npos);
  CHECK(ran.out.find("violation") != std::string::npos);
  CHECK(ran.out.find("by a kernel before 5.8") != std::string::npos);
  const auto json = tool_json({"attest", "log", "--ima", folder / "ima.bin"});
  CHECK(json["entries"].size() == 3);
  CHECK(json["entries"][1]["signature"] == "736967");
  CHECK(json["pcrs"].size() == 2);
  CHECK(json["pcrs"][1]["value"] != json["pcrs"][1]["value_before_5_8"]);

  std::string changed = list;
  changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
  write_file(folder / "changed.bin", changed);
  const Ran bad = tool({"attest", "log", "--ima", folder / "changed.bin"});
  CHECK(bad.code == 2);
  CHECK(bad.err.find("IMA list, byte ") != std::string::npos);
}
