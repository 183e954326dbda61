// Who may vouch for an object: each way in which nobody does.
#include "libvmsec/loader/signed.hpp"

namespace vmsec::test {
namespace {

struct Bench {
  TempDir dir;
  SigningKey key{dir, "maker"};
  SigningKey other{dir, "other"};
  fs::path file = dir.path() / "x.so";

  Bench() { spit(file, "the bytes of an object"); }
  SignatureFile sign(ObjectKind kind = ObjectKind::module) const { return key.sign(file, kind); }
  Result<Signers> verify(const Trust& trust, ObjectKind kind = ObjectKind::module) const {
    const auto text = read_signature(kind, file);
    if (!text) return fail(text.error());
    return trust.verify(kind, file, digest(), *text);
  }
  // Of what is in the file now.
  std::string digest() const {
    const fs::path copy = dir.path() / "copy";
    fs::copy_file(file, copy, fs::copy_options::overwrite_existing);
    fs::remove(signature_file_of(copy.string()));
    return key.sign(copy).sha256;
  }
};

TrustStore store_of(std::vector<TrustedKey> keys) {
  TrustStore store;
  store.keys = std::move(keys);
  return store;
}

}  // namespace

TEST_CASE("an object that a trusted key signed is trusted, and the key is named") {
  const Bench bench;
  bench.sign();
  const auto signers = good(bench.verify(trust_in(bench.key.trusted({TrustRole::module}))));
  REQUIRE(signers.size() == 1);
  CHECK(signers[0].name == "maker");
  CHECK(signers[0].key_id == key_id(bench.key.public_key()));
}

TEST_CASE("an object without a signature, or by a key that nobody trusts, is untrusted") {
  const Bench bench;
  const Trust trust = trust_in(bench.other.trusted({TrustRole::module}));
  const auto bare = bench.verify(trust);
  CHECK(code_of(bare) == Code::untrusted);
  CHECK_THAT(message_of(bare), Catch::Contains("x.so.sig"));
  bench.sign();
  const auto foreign = bench.verify(trust);
  CHECK(code_of(foreign) == Code::untrusted);
  CHECK_THAT(message_of(foreign), Catch::Contains("\"maker\"") && Catch::Contains(key_id(bench.key.public_key())));
}

TEST_CASE("the name in a signature is not believed") {
  const Bench bench;
  good(sign_object(bench.file, ObjectKind::module, bench.other.file(), "maker"));
  CHECK(code_of(bench.verify(trust_in(bench.key.trusted({TrustRole::module})))) == Code::untrusted);
}

TEST_CASE("a key is trusted for what its roles say, and for nothing else") {
  const Bench bench;
  const auto kind = GENERATE(ObjectKind::module, ObjectKind::plugin);
  const bool module = kind == ObjectKind::module;
  bench.sign(kind);
  CHECK(bench.verify(trust_in(bench.key.trusted({module ? TrustRole::module : TrustRole::plugin})), kind).has_value());
  const auto wrong = bench.verify(
      trust_in(bench.key.trusted({module ? TrustRole::plugin : TrustRole::module, TrustRole::in_process})), kind);
  CHECK(code_of(wrong) == Code::untrusted);
  CHECK_THAT(message_of(wrong), Catch::Contains("\"maker\" is not trusted for "));
}

TEST_CASE("what was signed as the other kind is untrusted, whoever signed it") {
  const Bench bench;
  const Trust trust = trust_in(bench.key.trusted({TrustRole::module, TrustRole::plugin}));
  bench.sign(ObjectKind::plugin);
  CHECK(code_of(bench.verify(trust, ObjectKind::module)) == Code::untrusted);
  // And the kind is under the signature.
  auto forged = good(parse_signature_file(good(read_signature(ObjectKind::plugin, bench.file)), "x"));
  forged.kind = ObjectKind::module;
  spit(signature_file_of(bench.file.string()), signature_file_text(forged));
  CHECK(code_of(bench.verify(trust, ObjectKind::module)) == Code::tampered);
}

TEST_CASE("a key counts until its last day") {
  const Bench bench;
  bench.sign();
  TrustedKey key = bench.key.trusted({TrustRole::module});
  key.not_after = "2026-01-31";
  const auto expired = bench.verify(trust_in(key));
  CHECK(code_of(expired) == Code::expired);
  CHECK_THAT(message_of(expired), Catch::Contains("\"maker\"") && Catch::Contains("2026-01-31"));
  key.not_after = "9999-12-31";
  CHECK(bench.verify(trust_in(key)).has_value());
}

TEST_CASE("a flipped bit of the signature, and it does not fit") {
  const Bench bench;
  const auto whole = bench.sign();
  for (std::size_t at = 0; at < whole.signatures[0].signature.size(); ++at) {
    auto flipped = whole;
    auto& byte = flipped.signatures[0].signature[at];
    byte = static_cast<char>(byte ^ 1);
    spit(signature_file_of(bench.file.string()), signature_file_text(flipped));
    CHECK(code_of(bench.verify(trust_in(bench.key.trusted({TrustRole::module})))) == Code::tampered);
  }
}

TEST_CASE("an object that changed after it was signed is tampered with, also where the file says its new digest") {
  const Bench bench;
  auto signature = bench.sign();
  const Trust trust = trust_in(bench.key.trusted({TrustRole::module}));
  spit(bench.file, "the bytes of an objecT");
  CHECK(code_of(bench.verify(trust)) == Code::tampered);
  signature.sha256 = bench.digest();
  spit(signature_file_of(bench.file.string()), signature_file_text(signature));
  CHECK(code_of(bench.verify(trust)) == Code::tampered);
}

TEST_CASE("what either store revokes is revoked, and the reason is told") {
  const Bench bench;
  const auto signature = bench.sign();
  const TrustedKey trusted = bench.key.trusted({TrustRole::module});
  TrustedKey revoked = trusted;
  revoked.revoked = "2026-02-03";
  revoked.reason = "was stolen";
  TrustStore files = store_of({trusted});
  files.revoked = {{signature.sha256, "CVE-2031-1"}};
  for (const auto& trust : {trust_in(store_of({revoked}), store_of({trusted})),
                            trust_in(store_of({trusted}), store_of({revoked})), trust_in(store_of({revoked}))}) {
    const auto refused = bench.verify(trust);
    CHECK(code_of(refused) == Code::revoked);
    CHECK_THAT(message_of(refused), Catch::Contains("2026-02-03") && Catch::Contains("was stolen"));
  }
  for (const auto& trust : {trust_in(files), trust_in(store_of({trusted}), files)}) {
    const auto refused = bench.verify(trust);
    CHECK(code_of(refused) == Code::revoked);
    CHECK_THAT(message_of(refused), Catch::Contains("CVE-2031-1"));
  }
}

TEST_CASE("of several signatures one trusted is enough, unless another one is revoked or wrong") {
  const Bench bench;
  bench.sign();
  auto both = bench.other.sign(bench.file);
  REQUIRE(both.signatures.size() == 2);
  const TrustedKey key = bench.key.trusted({TrustRole::module});
  TrustedKey other = bench.other.trusted({TrustRole::module});
  CHECK(good(bench.verify(trust_in(key))).size() == 1);
  CHECK(to_string(good(bench.verify(trust_in(store_of({key, other}))))) == "maker, other");
  other.revoked = "2026-01-01";
  CHECK(code_of(bench.verify(trust_in(store_of({key, other})))) == Code::revoked);
  other.revoked.clear();
  both.signatures[1].signature = both.signatures[0].signature;
  spit(signature_file_of(bench.file.string()), signature_file_text(both));
  CHECK(code_of(bench.verify(trust_in(store_of({key, other})))) == Code::tampered);
}

TEST_CASE("the operator's word for a key replaces the shipped store's") {
  const Bench bench;
  bench.sign();
  const TrustStore shipped = store_of({bench.key.trusted({TrustRole::module})});
  CHECK(bench.verify(trust_in(TrustStore{}, shipped)).has_value());
  CHECK(code_of(bench.verify(trust_in(store_of({bench.key.trusted({TrustRole::plugin})}), shipped))) ==
        Code::untrusted);
}

TEST_CASE("only the operator lets a signer's modules into the host's process, by the key and not by its name") {
  const Bench bench;
  bench.sign();
  const TrustedKey plain = bench.key.trusted({TrustRole::module});
  const TrustedKey in_process = bench.key.trusted({TrustRole::module, TrustRole::in_process});
  const auto check = [&](const Trust& trust) { return trust.check_in_process("x.so", good(bench.verify(trust))); };
  CHECK(code_of(check(trust_in(plain))) == Code::denied);
  CHECK(code_of(check(trust_in(TrustStore{}, store_of({in_process})))) == Code::denied);
  CHECK(check(trust_in(in_process)).has_value());
  TrustedKey namesake = bench.other.trusted({TrustRole::module, TrustRole::in_process});
  namesake.name = "maker";
  CHECK(code_of(check(trust_in(store_of({namesake}), store_of({plain})))) == Code::denied);
}

TEST_CASE("of two minimum versions the higher one holds, compared by numbers") {
  TrustStore own, shipped;
  own.minimums = {{"scanner", "1.9"}};
  shipped.minimums = {{"scanner", "1.10.0"}, {"other", "7"}};
  const Trust trust = trust_in(own, shipped);
  CHECK(code_of(trust.check_version("x.so", "scanner", "1.9")) == Code::denied);
  CHECK(trust.check_version("x.so", "scanner", "1.10").has_value());
  CHECK(trust.check_version("x.so", "unnamed", "0").has_value());
  CHECK(code_of(trust.check_version("x.so", "other", "6.99.99")) == Code::denied);
  CHECK(code_of(trust.check_version("x.so", "scanner", "2.0-rc1")) == Code::invalid_argument);
}

TEST_CASE("versions are numbers with dots, and nothing else") {
  for (const char* text : {"0", "1", "1.0", "1.4.2", "4294967295.0", "1.2.3.4.5.6.7.8"}) CHECK(parse_version(text));
  for (const char* text : {"", ".", "1.", ".1", "1..2", "01", "1.00", "1a", "-1", "+1", " 1", "1 ", "4294967296",
                           "1.2.3.4.5.6.7.8.9", "1,2", "v1"}) {
    INFO(text);
    CHECK(code_of(parse_version(text)) == Code::invalid_argument);
  }
  const auto older = [](const char* a, const char* b) {
    return is_older(good(parse_version(a)), good(parse_version(b)));
  };
  CHECK(older("1.9", "1.10"));
  CHECK(older("1", "1.0.1"));
  CHECK_FALSE(older("1.0", "1"));
  CHECK_FALSE(older("2", "1.9.9"));
}

}  // namespace vmsec::test
