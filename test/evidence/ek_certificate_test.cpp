#include "evidence/ek_certificate.hpp"

#include <openssl/x509v3.h>

#include <catch2/catch.hpp>

#include "ek_authority.hpp"
#include "soft_key.hpp"

namespace vmsec::boot::test {
namespace {

// A manufacturer as most are: a root that is known, an authority that the TPM brings along.
struct Manufacturer {
  EkAuthority root = EkAuthority::root("TPM root");
  EkAuthority authority = root.below("TPM authority");
  SoftKey key;

  [[nodiscard]] Status verify(const std::string& certificate) const {
    return verify_ek_certificate(certificate, {authority.der()}, key.area(), root.pem());
  }
  [[nodiscard]] std::string cause(const std::string& certificate) const {
    const auto verified = verify(certificate);
    REQUIRE_FALSE(verified);
    CHECK(verified.error().code == Code::untrusted);
    return verified.error().message;
  }
};

bool says(const std::string& text, const std::string& what) {
  INFO(text);
  return text.find(what) != std::string::npos;
}

std::string tlv(char tag, const std::string& content) {
  return std::string{tag, static_cast<char>(content.size())} + content;
}

// One attribute of the TPM: 2.23.133.2.NUMBER.
std::string tpm_attribute(char number, const std::string& value) {
  const std::string id = tlv('\x06', std::string("\x67\x81\x05\x02", 4) + number);
  return tlv('\x31', tlv('\x30', id + tlv('\x0c', value)));
}

// The profile's subjectAltName: a directoryName of the TPM's manufacturer, model and version.
std::string tpm_name() {
  const auto names = tpm_attribute(1, "id:564D5345") + tpm_attribute(2, "testbed") + tpm_attribute(3, "id:00000001");
  return tlv('\x30', tlv('\xa4', tlv('\x30', names)));
}

}  // namespace

TEST_CASE(
    "an endorsement key's certificate verifies by its manufacturer's root, through authorities that the TPM has") {
  const Manufacturer made;
  const auto certificate = made.authority.certify(made.key.area());
  const auto verified = made.verify(certificate);
  INFO((verified ? "" : verified.error().message));
  CHECK(verified);
  // Or that ek_roots has.
  CHECK(verify_ek_certificate(certificate, {}, made.key.area(), made.root.pem() + made.authority.pem()));
  // What a TPM's NV has behind it does no harm.
  CHECK(made.verify(certificate + std::string(20, '\xff')));
}

TEST_CASE("certificates of RSA and P-384 endorsement keys verify") {
  const Manufacturer made;
  for (const auto type : {SoftKey::Type::rsa, SoftKey::Type::p384}) {
    const SoftKey key(type);
    const auto certificate = made.root.certify(key.area());
    CHECK(verify_ek_certificate(certificate, {}, key.area(), made.root.pem()));
    CHECK_FALSE(verify_ek_certificate(certificate, {}, made.key.area(), made.root.pem()));
  }
}

TEST_CASE("without the authority between, the certificate is refused, and the missing one named") {
  const Manufacturer made;
  const auto refused =
      verify_ek_certificate(made.authority.certify(made.key.area()), {}, made.key.area(), made.root.pem());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::untrusted);
  CHECK(
      says(refused.error().message, "unable to get local issuer certificate (no certificate of \"CN=TPM authority\")"));
}

TEST_CASE("an authority that the TPM brings along is believed by a root's word only") {
  const Manufacturer made;
  const auto other = EkAuthority::root("TPM root");  // of the same name
  const auto authority = other.below("TPM authority");
  const auto certificate = authority.certify(made.key.area());
  CHECK_FALSE(verify_ek_certificate(certificate, {authority.der(), other.der()}, made.key.area(), made.root.pem()));
  CHECK(verify_ek_certificate(certificate, {authority.der(), other.der()}, made.key.area(), other.pem()));
  // Who has an endorsement key's certificate is no authority.
  const SoftKey leaf;
  const auto own = made.authority.certify(leaf.area());
  const auto refused = verify_ek_certificate(own, {made.authority.der(), own}, made.key.area(), made.root.pem());
  CHECK(says(refused.error().message, "of another key"));
}

TEST_CASE("a certificate that has expired is refused") {
  const Manufacturer made;
  CHECK(says(made.cause(made.authority.certify(made.key.area(), -1)), "does not verify: certificate has expired"));
}

TEST_CASE("a certificate of another key is refused") {
  const Manufacturer made;
  CHECK(says(made.cause(made.authority.certify(SoftKey().area())), "is of another key"));
}

TEST_CASE("one byte of a certificate changed, at any place, is refused") {
  const Manufacturer made;
  const auto certificate = made.authority.certify(made.key.area());
  for (std::size_t i = 0; i < certificate.size(); ++i) {
    std::string changed = certificate;
    changed[i] ^= 1;
    INFO(i);
    REQUIRE_FALSE(made.verify(changed));
  }
}

TEST_CASE("a certificate for another use is refused") {
  const Manufacturer made;
  const auto with = [&](const Extensions& extensions) {
    return made.cause(made.authority.certify(made.key.area(), extensions));
  };
  CHECK(says(with([](X509* c) { add_extension(c, NID_ext_key_usage, "serverAuth"); }),
             "has no tcg-kp-EKCertificate (2.23.133.8.1)"));
  CHECK(says(with([](X509* c) { add_extension(c, NID_key_usage, "digitalSignature"); }),
             "neither keyEncipherment nor keyAgreement"));
  CHECK(says(with([](X509* c) {
               add_extension(c, NID_basic_constraints, "critical,CA:TRUE");
               add_extension(c, NID_key_usage, "keyCertSign,keyAgreement");
             }),
             "is that of an authority"));
  // Older ones say nothing of their use.
  CHECK(made.verify(made.authority.certify(made.key.area(), [](X509*) {})));
}

TEST_CASE("what TPM manufacturers call critical is let pass, and nothing else is") {
  const Manufacturer made;
  const auto with = [&](int nid, const std::string& der) {
    return made.authority.certify(made.key.area(), [&](X509* c) {
      usual_extensions(c);
      add_raw_extension(c, nid, der);
    });
  };
  const std::string empty("\x30\x00", 2);
  const auto named = made.verify(with(NID_subject_alt_name, tpm_name()));
  INFO((named ? "" : named.error().message));
  CHECK(named);
  CHECK(made.verify(with(NID_subject_directory_attributes, empty)));
  CHECK(says(made.cause(with(NID_info_access, empty)), "unhandled critical extension"));
}

TEST_CASE("an authority that cannot be read, or one of too many, is refused") {
  const Manufacturer made;
  const auto certificate = made.authority.certify(made.key.area());
  std::string garbage = made.authority.der();
  garbage[garbage.size() / 2] ^= 1;
  CHECK_FALSE(verify_ek_certificate(certificate, {garbage}, made.key.area(), made.root.pem()));
  CHECK(says(verify_ek_certificate(certificate, {"x"}, made.key.area(), made.root.pem()).error().message,
             "intermediate certificate 1 cannot be read"));
  const std::vector<std::string> many(17, made.authority.der());
  CHECK(says(verify_ek_certificate(certificate, many, made.key.area(), made.root.pem()).error().message,
             "17 intermediate certificates, want at most 16"));
}

TEST_CASE("a certificate whose key OpenSSL cannot read (RSAES-OAEP) is refused by that") {
  const Manufacturer made;
  const SoftKey key(SoftKey::Type::rsa);
  const auto certificate = made.authority.certify(key.area(), [](X509* c) {
    X509_PUBKEY* area = X509_get_X509_PUBKEY(c);
    const unsigned char* bytes = nullptr;
    int size = 0;
    REQUIRE(X509_PUBKEY_get0_param(nullptr, &bytes, &size, nullptr, area) == 1);
    auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(bytes, static_cast<std::size_t>(size)));
    REQUIRE(X509_PUBKEY_set0_param(area, OBJ_nid2obj(NID_rsaesOaep), V_ASN1_NULL, nullptr, copy, size) == 1);
  });
  CHECK(says(made.cause(certificate), "the key in the endorsement key's certificate cannot be read"));
}

TEST_CASE("certificates one behind the other are split, and what is none is kept for the verifier") {
  const Manufacturer made;
  const auto a = made.root.der();
  const auto b = made.authority.der();
  CHECK(split_certificates("").empty());
  CHECK(split_certificates(std::string(9, '\xff')).empty());
  CHECK(split_certificates(a + b) == std::vector<std::string>{a, b});
  CHECK(split_certificates(a + std::string(7, '\0') + b + std::string(3, '\xff')) == std::vector<std::string>{a, b});
  CHECK(split_certificates(a + "text") == std::vector<std::string>{a, "text"});
  const auto cut = b.substr(0, b.size() - 1);
  CHECK(split_certificates(a + cut) == std::vector<std::string>{a, cut});
}

}  // namespace vmsec::boot::test
