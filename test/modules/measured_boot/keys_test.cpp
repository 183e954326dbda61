// Attestation keys of each kind, and quotes over banks of each kind, by a real TPM.
#include "evidence/judge.hpp"
#include "scene.hpp"
#include "tpm/tpm.hpp"

namespace vmsec::boot::test {
namespace {

constexpr std::uint32_t kNoDa = 1U << 10;  // TPMA_OBJECT, TPM 2.0 part 2, 8.3

struct Kind {
  AttestationKeyKind kind;
  KeyType type;
  Hash hash;
};
constexpr Kind kKinds[] = {{AttestationKeyKind::ecc, KeyType::ecc, Hash::sha256},
                           {AttestationKeyKind::ecc_384, KeyType::ecc, Hash::sha384},
                           {AttestationKeyKind::rsa, KeyType::rsa, Hash::sha256}};

TpmPublic area_of(const KeyBlob& key) { return parse_public(public_area(key).value(), "attestation key").value(); }

}  // namespace

TEST_CASE("a key of each kind quotes each bank, and its digest of the PCRs is by the key's hash") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  auto tpm = Tpm::open(swtpm.tcti()).value();
  for (const auto& each : kKinds) {
    const auto key = tpm.create_attestation_key(each.kind);
    INFO((key ? "" : key.error().message));
    REQUIRE(key);
    const auto area = area_of(*key);
    CHECK(area.type == each.type);
    CHECK(area.hash() == each.hash);
    CHECK((area.attributes & kNoDa) != 0);
    CHECK(check_attestation_key(area));
    for (const auto bank : {Hash::sha256, Hash::sha384}) {
      INFO(to_string(bank));
      const std::string nonce(32, 'n');
      const auto shown = tpm.quote(*key, nonce, kUsualPcrs, bank).value();
      const auto quote = verify_quote(area, shown.attest, shown.signature, {nonce, kUsualPcrs, bank});
      INFO((quote ? "" : quote.error().message));
      REQUIRE(quote);
      const auto values = tpm.read_pcrs(kUsualPcrs, bank).value();
      CHECK(values[0].size() == digest_size(bank));
      CHECK(pcr_digest(values, kUsualPcrs, each.hash).value() == quote->pcr_digest);
      CHECK_FALSE(verify_quote(area, shown.attest, shown.signature,
                               {nonce, kUsualPcrs, bank == Hash::sha256 ? Hash::sha384 : Hash::sha256}));
    }
  }
}

TEST_CASE("a log of SHA-384 digests leads to what a TPM's SHA-384 bank quotes, and a changed one does not") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  auto log = header({{0x000b, 32}, {0x000c, 48}});
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
    log += event(pcr, 5, {{0x000b, std::string(32, 'a')}, {0x000c, std::string(48, 'b')}});
  swtpm.boot(log, Hash::sha384);
  auto tpm = Tpm::open(swtpm.tcti()).value();
  const auto key = tpm.create_attestation_key(AttestationKeyKind::ecc_384).value();
  const QuoteDemand demand{std::string(32, 'n'), kUsualPcrs, Hash::sha384};
  const auto shown = tpm.quote(key, demand.qualifying_data, demand.pcrs, demand.bank).value();
  Evidence evidence;
  evidence.attest = shown.attest;
  evidence.signature = shown.signature;
  evidence.event_log = log;
  AttestationReport report;
  const auto confirmed = confirm(evidence, area_of(key), demand, report);
  INFO((confirmed ? "" : confirmed.error().message));
  CHECK(confirmed);
  evidence.event_log[digest_place(log, 3) + 32 + 2] ^= 1;  // the SHA-384 digest behind the SHA-256 one
  CHECK(confirm(evidence, area_of(key), demand, report).error().code == Code::untrusted);
}

TEST_CASE("a host is enrolled and attested by the key that its operator asks for") {
  if (!Swtpm::available()) return;
  Scene scene;
  for (const auto kind : {AttestationKeyKind::rsa, AttestationKeyKind::ecc_384}) {
    Config config;
    config.attestation_key = kind;
    scene.network.restart(*scene.host, config);
    // Nothing changes until it is enrolled again; then the operator must agree.
    CHECK(scene.attest().verdict == Verdict::trusted);
    CHECK(scene.verifier->attestation().enrol({"host-a"}).error().code == Code::already_exists);
    CHECK(scene.host->last_audit().action == "measured_boot.new_key");
    CHECK(scene.host->last_audit().detail.find("is configured, the key was of kind") != std::string::npos);
    scene.must_be_untrusted("signature");
    REQUIRE(scene.verifier->attestation().enrol({"host-a", true}));
    CHECK(scene.attest().verdict == Verdict::trusted);
  }
}

TEST_CASE("a key that was kept goes on where the operator says nothing of its kind") {
  if (!Swtpm::available()) return;
  Scene scene;
  Config rsa;
  rsa.attestation_key = AttestationKeyKind::rsa;
  scene.network.restart(*scene.host, rsa);
  REQUIRE(scene.verifier->attestation().enrol({"host-a", true}));
  scene.network.restart(*scene.host);
  REQUIRE(scene.verifier->attestation().enrol({"host-a"}));
  CHECK(scene.attest().verdict == Verdict::trusted);
}

}  // namespace vmsec::boot::test
