// The same answers as tpm2-tools, where they are installed.
#include <catch2/catch.hpp>
#include <sstream>

#include "evidence/event_logs.hpp"
#include "evidence/module_log.hpp"
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

TEST_CASE("tpm2_eventlog reads our log of modules, and comes to the same PCR") {
  if (!tools("tpm2_eventlog")) return;
  const std::vector<Bank> banks{{Hash::sha256, 32}, {Hash::sha384, 48}};
  const ModuleLogStart start{7, 11, std::string(32, '\0')};
  const auto log =
      begin_module_log(banks, start) + module_event(11, banks, {"module", "throttle", std::string(64, 'a')}).value();
  TempFolder folder;
  const std::string out = folder.path() / "out";
  REQUIRE(run("tpm2_eventlog " + folder.file("log", log) + " > " + out) == 0);
  auto replayed = replay(begin_module_log(banks, start)).value();
  REQUIRE(replay_modules(replayed, log));
  const auto text = read_whole(out);
  CHECK(text.find("EV_EVENT_TAG") != std::string::npos);
  CHECK(text.find("11 : 0x" + to_hex(replayed.values[11])) != std::string::npos);
}

TEST_CASE("tpm2_checkquote accepts our TPM's quotes, of each kind of key and bank, and not with another nonce") {
  if (!tools("tpm2_checkquote") || !Swtpm::available()) return;
  Swtpm swtpm;
  swtpm.boot(ovmf_log());
  auto tpm = Tpm::open(swtpm.tcti()).value();
  const std::string nonce(32, 'n');
  TempFolder folder;
  for (const auto kind : {AttestationKeyKind::ecc, AttestationKeyKind::ecc_384, AttestationKeyKind::rsa})
    for (const auto bank : {Hash::sha256, Hash::sha384}) {
      const auto key = tpm.create_attestation_key(kind).value();
      const auto quote = tpm.quote(key, nonce, kUsualPcrs, bank).value();
      // Its -u takes a TPM2B_PUBLIC.
      const std::string command = "tpm2_checkquote -u " + folder.file("ak.pub", key.public_area) + " -m " +
                                  folder.file("quote", quote.attest) + " -s " + folder.file("sig", quote.signature) +
                                  " -g " + (kind == AttestationKeyKind::ecc_384 ? "sha384" : "sha256") + " -q ";
      INFO(command);
      CHECK(run(command + to_hex(nonce)) == 0);
      CHECK(run(command + to_hex(std::string(32, 'm'))) != 0);
      folder.file("quote", quote.attest.substr(0, quote.attest.size() - 1) + "x");
      CHECK(run(command + to_hex(nonce)) != 0);
    }
}

TEST_CASE("quotes that tpm2-tools made, by keys that they made, verify") {
  if (!tools("tpm2_createak") || !Swtpm::available()) return;
  Swtpm swtpm;
  swtpm.boot(ovmf_log());
  TempFolder folder;
  const std::string at = "cd " + folder.path().string() + " && export TPM2TOOLS_TCTI=" + swtpm.tcti() + " && ";
  const std::string nonce(32, 'n');
  struct Made {
    std::string key;
    std::string hash;
    Hash bank;
  };
  for (const auto& made : {Made{"ecc", "sha256", Hash::sha256}, Made{"ecc384", "sha384", Hash::sha384},
                           Made{"rsa", "sha256", Hash::sha256}, Made{"rsa", "sha256", Hash::sha384}}) {
    INFO(made.key);
    const std::string scheme = made.key == "rsa" ? "rsassa" : "ecdsa";
    REQUIRE(run(at + "tpm2_createek -G " + (made.key == "rsa" ? "rsa" : "ecc") + " -c ek.ctx -u ek.pub && " +
                "tpm2_createak -C ek.ctx -c ak.ctx -G " + made.key + " -g " + made.hash + " -s " + scheme +
                " -u ak.pub -f tss && tpm2_flushcontext -t; tpm2_quote -c ak.ctx -l " + to_string(made.bank) +
                ":0,1,2,3,4,5,6,7,9 -q " + to_hex(nonce) + " -m quote -s sig -g " + made.hash +
                " && tpm2_flushcontext -t") == 0);
    // A TPM2B_PUBLIC: its size comes first.
    const auto area = parse_public(read_whole(folder.path() / "ak.pub").substr(2), "attestation key").value();
    CHECK(check_attestation_key(area));
    const auto attest = read_whole(folder.path() / "quote");
    const auto signature = read_whole(folder.path() / "sig");
    const auto quote = verify_quote(area, attest, signature, {nonce, kUsualPcrs, made.bank});
    INFO((quote ? "" : quote.error().message));
    REQUIRE(quote);
    if (made.bank == Hash::sha256)
      CHECK(quote->pcr_digest == pcr_digest(replay(ovmf_log()).value().values, kUsualPcrs, area.hash()).value());
    auto changed = attest;
    changed[changed.size() - 1] ^= 1;
    CHECK(verify_quote(area, changed, signature, {nonce, kUsualPcrs, made.bank}).error().code == Code::tampered);
  }
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
