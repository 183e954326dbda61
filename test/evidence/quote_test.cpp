#include "evidence/quote.hpp"

#include <catch2/catch.hpp>
#include <functional>

#include "evidence/bytes.hpp"
#include "evidence/tpm_constants.hpp"
#include "soft_key.hpp"

namespace vmsec::boot::test {
namespace {

const QuoteDemand kDemand{std::string(32, 'q'), kUsualPcrs};

struct Change {
  std::string name;
  std::function<void(QuoteParts&)> change;
  std::string cause;
};

// Properly signed, and yet not what was asked for.
std::vector<Change> changes() {
  return {
      {"magic", [](auto& q) { q.magic ^= 1; }, "it was not made by a TPM"},
      {"type", [](auto& q) { q.type = 0x801a; }, "it attests something else (type 0x801a)"},
      {"nonce", [](auto& q) { q.qualifying_data[5] ^= 1; }, "not for this nonce"},
      {"shorter nonce", [](auto& q) { q.qualifying_data.pop_back(); }, "not for this nonce"},
      {"no nonce", [](auto& q) { q.qualifying_data.clear(); }, "not for this nonce"},
      {"fewer PCRs", [](auto& q) { q.selection[0] = 0x7f; }, "over PCRs 0,1,2,3,4,5,6,9, asked were 0,1,2,3,4,5,6,7,9"},
      {"more PCRs", [](auto& q) { q.selection[2] = 1; }, "9,16, asked were"},
      {"no PCRs", [](auto& q) { q.selection = std::string(3, '\0'); }, "over PCRs none"},
      {"sha1 bank", [](auto& q) { q.bank = 4; }, "over the bank sha1, asked was sha256"},
      {"no bank", [](auto& q) { q.banks = 0; }, "over 0 PCR banks"},
      {"two banks", [](auto& q) { q.banks = 2; }, "over 2 PCR banks"},
      {"long selection", [](auto& q) { q.selection += '\0'; }, "a PCR selection of 4 bytes"},
      {"short selection", [](auto& q) { q.selection.pop_back(); }, "a PCR selection of 2 bytes"},
      {"digest of sha1", [](auto& q) { q.pcr_digest.resize(20); }, "the PCRs' digest has 20 bytes"},
      {"safe flag", [](auto& q) { q.safe = 2; }, "safe flag is 2"},
  };
}

}  // namespace

TEST_CASE("a quote by the key, for the nonce, over the PCRs, verifies") {
  for (const auto type : {SoftKey::Type::p256, SoftKey::Type::p384, SoftKey::Type::rsa}) {
    const SoftKey key(type);
    QuoteParts parts;
    parts.pcr_digest.resize(digest_size(key.area().hash()).value(), 'd');
    const auto attest = attest_bytes(parts);
    const auto quote = verify_quote(key.area(), attest, key.sign(attest), kDemand);
    REQUIRE(quote);
    CHECK(quote->reset_count == 3);
    CHECK(quote->restart_count == 1);
    CHECK(quote->clock == 1000);
    CHECK(quote->safe);
    CHECK(quote->pcr_digest == parts.pcr_digest);
    CHECK(quote->digest_hash == key.area().hash());
  }
}

TEST_CASE("a signed quote of something else is refused by its name") {
  const SoftKey key;
  for (const auto& each : changes()) {
    INFO(each.name);
    QuoteParts parts;
    each.change(parts);
    const auto attest = attest_bytes(parts);
    const auto quote = verify_quote(key.area(), attest, key.sign(attest), kDemand);
    REQUIRE_FALSE(quote);
    INFO(quote.error().message);
    CHECK(quote.error().message.find(each.cause) != std::string::npos);
  }
}

TEST_CASE("one byte of the quote changed, at any place, is refused") {
  const SoftKey key;
  const auto attest = attest_bytes({});
  const auto signature = key.sign(attest);
  for (std::size_t i = 0; i < attest.size(); ++i) {
    std::string changed = attest;
    changed[i] ^= 0x40;
    REQUIRE_FALSE(verify_quote(key.area(), changed, signature, kDemand));
  }
}

TEST_CASE("a changed clock is named as a signature that does not hold") {
  const SoftKey key;
  QuoteParts parts;
  const auto signature = key.sign(attest_bytes(parts));
  parts.clock += 1;
  const auto quote = verify_quote(key.area(), attest_bytes(parts), signature, kDemand);
  REQUIRE_FALSE(quote);
  CHECK(quote.error().code == Code::tampered);
  CHECK(quote.error().message.find("signature is not the attestation key's") != std::string::npos);
}

TEST_CASE("one byte of the signature changed, at any place, is refused") {
  for (const auto type : {SoftKey::Type::p256, SoftKey::Type::p384, SoftKey::Type::rsa}) {
    const SoftKey key(type);
    QuoteParts parts;
    parts.pcr_digest.resize(digest_size(key.area().hash()).value(), 'd');
    const auto attest = attest_bytes(parts);
    const auto signature = key.sign(attest);
    for (std::size_t i = 0; i < signature.size(); ++i) {
      std::string changed = signature;
      changed[i] ^= 1;
      REQUIRE_FALSE(verify_quote(key.area(), attest, changed, kDemand));
    }
  }
}

TEST_CASE("a signature by another key is refused") {
  const SoftKey key;
  const SoftKey other;
  const SoftKey rsa(SoftKey::Type::rsa);
  const auto attest = attest_bytes({});
  CHECK(verify_quote(key.area(), attest, other.sign(attest), kDemand).error().code == Code::tampered);
  CHECK(verify_quote(key.area(), attest, rsa.sign(attest), kDemand).error().message.find("the key's scheme") !=
        std::string::npos);
}

TEST_CASE("a signature by another hash than the key's scheme has is refused, and so is its digest of the PCRs") {
  const SoftKey key(SoftKey::Type::p384);
  const auto attest = attest_bytes({});
  const auto short_digest = verify_quote(key.area(), attest, key.sign(attest), kDemand);
  REQUIRE_FALSE(short_digest);
  CHECK(short_digest.error().message == "the PCRs' digest has 32 bytes, by sha384 it has 48");
  auto signature = key.sign(attest);
  signature[3] = '\x0b';
  CHECK(verify_signature(key.area(), attest, signature)
            .error()
            .message.find("it is by sha256, the key's scheme has sha384") != std::string::npos);
}

TEST_CASE("the digest of PCRs is by the hash that is asked for") {
  PcrValues values;
  for (auto& value : values) value = std::string(48, 'v');
  const PcrMask two{0x3};
  CHECK(pcr_digest(values, two, Hash::sha256).value() == sha256({std::string(96, 'v')}).value());
  CHECK(pcr_digest(values, two, Hash::sha384).value() == digest(Hash::sha384, {std::string(96, 'v')}).value());
}

TEST_CASE("a quote, signature or key that is cut short is an error at every length") {
  const SoftKey key;
  const auto attest = attest_bytes({});
  const auto signature = key.sign(attest);
  for (std::size_t i = 0; i < attest.size(); ++i) REQUIRE_FALSE(parse_quote(attest.substr(0, i)));
  for (std::size_t i = 0; i < signature.size(); ++i)
    REQUIRE_FALSE(verify_signature(key.area(), attest, signature.substr(0, i)));
  for (std::size_t i = 0; i < key.area().bytes.size(); ++i)
    REQUIRE_FALSE(parse_public(key.area().bytes.substr(0, i), "test key"));
  CHECK_FALSE(parse_quote(attest + "x"));
  CHECK_FALSE(verify_signature(key.area(), attest, signature + "x"));
  CHECK_FALSE(parse_public(key.area().bytes + "x", "test key"));
}

TEST_CASE("numbers of an ECDSA signature that are zero, absent or too long are refused") {
  const SoftKey key;
  const auto attest = attest_bytes({});
  const std::string head = big_endian(kAlgEcdsa) + big_endian(kAlgSha256);
  for (const auto& number : {std::string(), std::string(32, '\0'), std::string(32, '\xff'), std::string(33, '\1')})
    CHECK_FALSE(verify_signature(key.area(), attest, head + sized(number) + sized(number)));
}

TEST_CASE("a key that could sign anything, or leave its TPM, is no attestation key") {
  const auto without = [](std::uint32_t bit) {
    return check_attestation_key(SoftKey(SoftKey::Type::p256, SoftKey::kUsualAttributes & ~bit).area());
  };
  CHECK(check_attestation_key(SoftKey().area()));
  CHECK(check_attestation_key(SoftKey(SoftKey::Type::rsa).area()));
  CHECK(without(kFixedTpm).error().message.find("fixedTPM is not set") != std::string::npos);
  CHECK(without(kFixedParent).error().message.find("fixedParent is not set") != std::string::npos);
  CHECK(without(kSensitiveDataOrigin).error().message.find("sensitiveDataOrigin") != std::string::npos);
  CHECK(without(kRestricted).error().message.find("restricted is not set") != std::string::npos);
  CHECK(without(kSign).error().message.find("sign is not set") != std::string::npos);
  const SoftKey decrypts(SoftKey::Type::p256, SoftKey::kUsualAttributes | kDecrypt);
  CHECK(check_attestation_key(decrypts.area()).error().message.find("decrypt is set") != std::string::npos);
  CHECK(check_endorsement_key(SoftKey().area()).error().code == Code::untrusted);
}

TEST_CASE("a point that is not on the curve is no key") {
  const SoftKey key;
  std::string bytes = key.area().bytes;
  bytes.back() ^= 1;
  const auto parsed = parse_public(bytes, "test key");
  REQUIRE(parsed);
  CHECK_FALSE(parsed->key());
}

TEST_CASE("an RSA modulus that is none is refused each time, also beside one that was found valid") {
  const SoftKey key(SoftKey::Type::rsa);
  TpmPublic even = key.area();
  even.modulus.back() = static_cast<char>(even.modulus.back() & ~1);
  for (int i = 0; i < 2; ++i) {
    CHECK(key.area().key());
    CHECK_FALSE(even.key());
  }
}

TEST_CASE("a public area of another kind is an error that names byte and cause") {
  const std::string good = SoftKey().area().bytes;
  const auto changed = [&](std::size_t place, char value) {
    std::string bytes = good;
    bytes[place] = value;
    return parse_public(bytes, "test key").error().message;
  };
  CHECK(changed(1, 0x25) == "public area of the test key, byte 10: neither an RSA nor an ECC key");
  CHECK(changed(3, 0x04).find("name algorithm is neither SHA-256 nor SHA-384") != std::string::npos);
  CHECK(changed(13, 0x1a).find("neither ECDSA nor RSASSA") != std::string::npos);
  CHECK(changed(17, 0x05).find("neither NIST P-256 nor P-384") != std::string::npos);
}

}  // namespace vmsec::boot::test
