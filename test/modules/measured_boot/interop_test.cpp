// The same answers as tpm2-tools, where they are installed.
#include <catch2/catch.hpp>
#include <sstream>

#include "evidence/event_logs.hpp"
#include "evidence/replay.hpp"
#include "paths.hpp"
#include "prover.hpp"
#include "swtpm.hpp"
#include "tpm/tpm.hpp"

namespace vmsec::boot::test {
namespace {

bool tools(const std::string& name) {
  if (has_program(name)) return true;
  WARN("SKIPPED: " + name + " is not installed (apt-get install tpm2-tools)");
  return false;
}

}  // namespace

TEST_CASE("tpm2_eventlog comes to the same PCRs from the log") {
  if (!tools("tpm2_eventlog")) return;
  TempFolder folder;
  const std::string out = folder.path() / "pcrs";
  REQUIRE(run("tpm2_eventlog " VMSEC_SOURCE_DIR
              "/test/data/eventlogs/ovmf-q35.bin | sed '1,/^pcrs:/d;s/0x//;s/://g' > " +
              out) == 0);
  std::istringstream lines(read_whole(out));
  const auto sha1 = replay(ovmf_log(), Hash::sha1).value();
  const auto sha256 = replay(ovmf_log()).value();
  const Replay* bank = nullptr;
  std::size_t compared = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first;
    std::string value;
    words >> first;
    if (!(words >> value)) {
      bank = first == "sha1" ? &sha1 : &sha256;
      continue;
    }
    REQUIRE(bank != nullptr);
    CHECK(to_hex(bank->values[static_cast<std::size_t>(std::stoi(first))]) == value);
    ++compared;
  }
  CHECK(compared == 18);
}

TEST_CASE("tpm2_checkquote accepts our TPM's quote, and not with another nonce") {
  if (!tools("tpm2_checkquote") || !Swtpm::available()) return;
  Swtpm swtpm;
  swtpm.boot(ovmf_log());
  auto tpm = Tpm::open(swtpm.tcti()).value();
  const auto key = tpm.create_attestation_key().value();
  const std::string nonce(32, 'n');
  const auto quote = tpm.quote(key, nonce, kUsualPcrs).value();
  TempFolder folder;
  // Its -u takes a TPM2B_PUBLIC.
  const std::string command = "tpm2_checkquote -u " + folder.file("ak.pub", key.public_area) + " -m " +
                              folder.file("quote", quote.attest) + " -s " + folder.file("sig", quote.signature) +
                              " -g sha256 -q ";
  CHECK(run(command + to_hex(nonce)) == 0);
  CHECK(run(command + to_hex(std::string(32, 'm'))) != 0);
  folder.file("quote", quote.attest.substr(0, quote.attest.size() - 1) + "x");
  CHECK(run(command + to_hex(nonce)) != 0);
}

TEST_CASE("the TPM's own PCRs are those of the log that was replayed into it") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  swtpm.boot(ovmf_log());
  auto tpm = Tpm::open(swtpm.tcti()).value();
  const auto values = tpm.read_pcrs(PcrMask{0xffffff});
  REQUIRE(values);
  const auto replayed = replay(ovmf_log()).value();
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr) CHECK(to_hex((*values)[pcr]) == to_hex(replayed.values[pcr]));
}

TEST_CASE("a hundred quotes leave no handle behind in the TPM") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  const auto key = Tpm::open(swtpm.tcti()).value().create_attestation_key().value();
  for (int i = 0; i < 20; ++i) {
    auto tpm = Tpm::open(swtpm.tcti()).value();
    for (int j = 0; j < 5; ++j) REQUIRE(tpm.quote(key, std::string(32, 'n'), kUsualPcrs));
  }
}

}  // namespace vmsec::boot::test
