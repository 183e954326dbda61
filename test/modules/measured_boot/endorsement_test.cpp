// Endorsement keys and their certificates as manufacturers leave them in a TPM.
#include <tss2/tss2_mu.h>

#include "evidence/credential.hpp"
#include "evidence/ek_authority.hpp"
#include "evidence/ek_certificate.hpp"
#include "scene.hpp"
#include "tpm/templates.hpp"
#include "tpm/tpm.hpp"

namespace vmsec::boot::test {
namespace {

constexpr std::uint32_t kRsa = 0x01c00002;
constexpr std::uint32_t kP256 = 0x01c0000a;
constexpr std::uint32_t kP384 = 0x01c00016;
constexpr std::uint32_t kRsa3072 = 0x01c0001c;
constexpr std::uint32_t kIssuers = 0x01c00100;

EndorsementKey shown_by(const Swtpm& swtpm) {
  auto key = Tpm::open(swtpm.tcti()).value().endorsement_key();
  INFO((key ? "" : key.error().message));
  REQUIRE(key);
  return *key;
}

TpmPublic area_of(const EndorsementKey& key) { return parse_public(key.public_area, "EK").value(); }

// That the TPM opens what is made for this key.
void must_activate(const Swtpm& swtpm, const TpmPublic& endorsement) {
  CHECK(check_endorsement_key(endorsement));
  auto tpm = Tpm::open(swtpm.tcti()).value();
  const auto key = tpm.create_attestation_key().value();
  const auto name = parse_public(public_area(key).value(), "AK").value().name();
  const std::string secret(32, 's');
  const auto made = make_credential(endorsement, name, secret).value();
  const auto opened = tpm.activate(key, made.id_object, made.encrypted_secret);
  INFO((opened ? "" : opened.error().message));
  REQUIRE(opened);
  CHECK(*opened == secret);
  auto changed = made.id_object;
  changed.back() ^= 1;
  CHECK_FALSE(tpm.activate(key, changed, made.encrypted_secret));
}

std::string marshalled(const TPM2B_PUBLIC& key_template) {
  std::string out(1024, '\0');
  std::size_t size = 0;
  REQUIRE(Tss2_MU_TPMT_PUBLIC_Marshal(&key_template.publicArea, reinterpret_cast<std::uint8_t*>(out.data()), out.size(),
                                      &size) == 0);
  out.resize(size);
  return out;
}

}  // namespace

TEST_CASE("the key whose certificate the TPM holds is shown, of each kind, and opens credentials") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  std::uint32_t index = 0;
  KeyType type = KeyType::ecc;
  Hash hash = Hash::sha256;
  std::size_t bytes = 32;
  SECTION("P-256") { index = kP256; }
  SECTION("RSA 2048") {
    index = kRsa;
    type = KeyType::rsa;
    bytes = 256;
  }
  SECTION("P-384") {
    index = kP384;
    hash = Hash::sha384;
    bytes = 48;
  }
  SECTION("RSA 3072") {
    index = kRsa3072;
    type = KeyType::rsa;
    hash = Hash::sha384;
    bytes = 384;
  }
  swtpm.write_nv(index, "a certificate");
  const auto shown = shown_by(swtpm);
  CHECK(shown.certificate == "a certificate");
  CHECK(shown.issuers.empty());
  const auto area = area_of(shown);
  CHECK(area.type == type);
  CHECK(area.name_hash == hash);
  CHECK((type == KeyType::ecc ? area.x.size() : area.modulus.size()) == bytes);
  must_activate(swtpm, area);
}

TEST_CASE("intermediate certificates in NV are shown, also those that go on in the next index") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  const auto root = EkAuthority::root("TPM root");
  const auto authority = root.below("TPM authority");
  const auto last = authority.below("TPM authority 2");
  const auto all = authority.der() + last.der();
  swtpm.write_nv(kIssuers, all.substr(0, 300));
  swtpm.write_nv(kIssuers + 1, all.substr(300));
  swtpm.write_nv(0x01c00200, "not one of them");
  swtpm.write_nv(kP256, "a certificate");
  CHECK(shown_by(swtpm).issuers == std::vector<std::string>{authority.der(), last.der()});
}

TEST_CASE("a host is enrolled by a certificate whose authority its TPM brings along") {
  if (!Swtpm::available()) return;
  const auto root = EkAuthority::root("TPM root");
  const auto authority = root.below("TPM authority");
  Config config;
  config.ek_roots = root.pem();
  Network network;
  Host& verifier = network.add("verifier", config);
  Host& host = network.add("host-a");
  const auto key = area_of(shown_by(host.tpm));  // P-256, with and without a certificate
  const auto refusal = [&] {
    const auto enrolled = verifier.attestation().enrol({"host-a"});
    REQUIRE_FALSE(enrolled);
    CHECK(enrolled.error().code == Code::untrusted);
    CHECK(verifier.store.records.empty());
    return enrolled.error().message;
  };
  SECTION("it is there") {
    host.tpm.write_nv(kP256, authority.certify(key));
    host.tpm.write_nv(kIssuers, authority.der());
    const auto enrolled = verifier.attestation().enrol({"host-a"});
    INFO((enrolled ? "" : enrolled.error().message));
    CHECK(enrolled);
  }
  SECTION("it is missing") {
    host.tpm.write_nv(kP256, authority.certify(key));
    CHECK(refusal().find("no certificate of \"CN=TPM authority\"") != std::string::npos);
  }
  SECTION("the certificate has expired") {
    host.tpm.write_nv(kP256, root.certify(key, -1));
    CHECK(refusal().find("certificate has expired") != std::string::npos);
  }
  SECTION("the certificate is another TPM's") {
    Swtpm other;
    host.tpm.write_nv(kP256, root.certify(area_of(shown_by(other))));
    CHECK(refusal().find("is of another key") != std::string::npos);
  }
  SECTION("what stands for an authority is garbage") {
    host.tpm.write_nv(kP256, authority.certify(key));
    host.tpm.write_nv(kIssuers, "garbage");
    CHECK(refusal().find("intermediate certificate 1 cannot be read") != std::string::npos);
  }
}

TEST_CASE("a nonce or a template in NV gives the key that the manufacturer made by it") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  swtpm.write_nv(kP256, "a certificate");
  const auto usual = area_of(shown_by(swtpm));
  SECTION("a nonce") {
    swtpm.write_nv(kP256 + 1, std::string(20, 'n'));
    const auto other = area_of(shown_by(swtpm));
    CHECK(other.x != usual.x);
    must_activate(swtpm, other);
  }
  SECTION("a template") {
    auto wanted = ek_p256_template();
    wanted.publicArea.unique.ecc.x.buffer[3] = 7;
    swtpm.write_nv(kP256 + 2, marshalled(wanted));
    const auto other = area_of(shown_by(swtpm));
    CHECK(other.x != usual.x);
    must_activate(swtpm, other);
  }
  SECTION("a template that is none") {
    swtpm.write_nv(kP256 + 2, "garbage");
    const auto refused = Tpm::open(swtpm.tcti()).value().endorsement_key();
    CHECK(refused.error().message == "the EK template at NV index 0x01c0000c is no TPMT_PUBLIC");
  }
  SECTION("a template by a policy that nobody here can fulfil") {
    auto wanted = ek_p256_template();
    wanted.publicArea.authPolicy.buffer[0] ^= 1;
    swtpm.write_nv(kP256 + 2, marshalled(wanted));
    const auto refused = Tpm::open(swtpm.tcti()).value().endorsement_key();
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().message.find("NV index 0x01c0000c asks for a policy") != std::string::npos);
  }
  SECTION("a nonce that is longer than the key's numbers") {
    swtpm.write_nv(kP256 + 1, std::string(33, 'n'));
    const auto refused = Tpm::open(swtpm.tcti()).value().endorsement_key();
    CHECK(refused.error().message.find("NV index 0x01c0000b has 33 bytes, want at most 32") != std::string::npos);
  }
}

}  // namespace vmsec::boot::test
