// Trust stores and signature files: read strictly, written back as they were.
#include <sys/stat.h>

#include "libvmsec/loader/signed.hpp"
#include "paths.hpp"

namespace vmsec::test {
namespace {

const std::string kKey = "[[key]]\nname = \"acme\"\npublic_key = \"3x4qwFl+7j6YV5A8x3rbWjWD0wDZHq+SARAn8fmw3U4=\"\n";
const std::string kGood = "format = 1\n" + kKey + "roles = [\"module\"]\n";
const std::string kDigest(64, 'a');

std::string signature_text(const std::string& head, const std::string& entry) {
  return head + "\n[[signature]]\n" + entry;
}
const std::string kHead = "format = 1\nkind = \"module\"\nsha256 = \"" + kDigest + "\"\n";
const std::string kEntry =
    "key = \"acme\"\nkey_id = \"" + kDigest + "\"\nsignature = \"" + std::string(86, 'A') + "==\"\n";

}  // namespace

TEST_CASE("a trust store is written back as it was read") {
  const std::string text = kGood +
                           "not_after = \"2036-12-31\"\nrevoked = \"2030-02-28\"\nreason = \"a \\\"reason\\\"\"\n"
                           "[[minimum]]\nmodule = \"scanner\"\nversion = \"1.4.2\"\n[[revoked]]\nsha256 = \"" +
                           kDigest + "\"\nreason = \"CVE-2031-1\"\n";
  const auto store = good(parse_trust_store(text, "trust.toml"));
  REQUIRE(store.keys.size() == 1);
  CHECK(store.keys[0].reason == "a \"reason\"");
  CHECK(store.keys[0].public_key.size() == 32);
  CHECK(store.minimums.at(0).version == "1.4.2");
  CHECK(store.revoked.at(0).sha256 == kDigest);
  const auto again = good(parse_trust_store(trust_store_text(store), "trust.toml"));
  CHECK(trust_store_text(again) == trust_store_text(store));
}

TEST_CASE("a trust store that is not understood is refused with its place") {
  const auto [text, place, words] = GENERATE(table<std::string, std::string, std::string>({
      {"", "", "format: must be 1"},
      {"format = 2\n", ":1:", "format: must be 1"},
      {"format = \"1\"\n", ":1:", "format: must be 1"},
      {"format = 1\ncolour = 1\n", ":2:", "unknown key"},
      {"format = 1\nkey = []\n", ":2:", "unknown key"},
      {"format = 1\n[[keys]]\nname = \"x\"\n", ":3:", "unknown key"},
      {kGood + "colour = \"red\"\n", ":6:", "unknown key"},
      {"format = 1\n" + kKey, ":3:", "roles: must be given"},
      {"format = 1\n" + kKey + "roles = []\n", ":5:", "one at least"},
      {"format = 1\n" + kKey + "roles = \"module\"\n", ":5:", "list of texts"},
      {"format = 1\n" + kKey + "roles = [\"root\"]\n", ":5:", "\"root\" is no role"},
      {"format = 1\n" + kKey + "roles = [\"module\", \"module\"]\n", ":5:", "twice"},
      {"format = 1\n[[key]]\nname = \"A b\"\n", ":3:", "no key's name"},
      {"format = 1\n[[key]]\nname = \"a\"\npublic_key = \"AAAA\"\nroles = [\"module\"]\n", ":4:", "32 bytes"},
      {"format = 1\n[[key]]\nname = \"a\"\npublic_key = \"" + std::string(43, 'A') + "!\"\n", ":4:", "32 bytes"},
      {"format = 1\n[[key]]\nname = \"a\"\npublic_key = \"" + std::string(42, 'A') + "B=\"\n", ":4:", "32 bytes"},
      {kGood + "not_after = \"tomorrow\"\n", ":6:", "must be a day"},
      {kGood + "not_after = \"2036-02-30\"\n", ":6:", "must be a day"},
      {kGood + "not_after = 2036-02-03\n", ":6:", "dates and times"},
      {kGood + "reason = \"x\"\n", ":6:", "give revoked"},
      {kGood + "[[key]]\n" + kGood.substr(kGood.find("name")), ":7:", "second key \"acme\""},
      {kGood + "[[minimum]]\nmodule = \"x\"\nversion = \"new\"\n", ":8:", "version \"new\""},
      {kGood + "[[minimum]]\nmodule = \"x\"\nversion = \"1\"\n[[minimum]]\nmodule = \"x\"\nversion = \"2\"\n",
       ":10:", "a second minimum"},
      {kGood + "[[revoked]]\nsha256 = \"abc\"\n", ":7:", "SHA-256"},
  }));
  const auto refused = parse_trust_store(text, "trust.toml");
  INFO(text << message_of(refused));
  CHECK(code_of(refused) == Code::invalid_argument);
  CHECK_THAT(message_of(refused), Catch::Contains("trust.toml" + place) && Catch::Contains(words));
}

TEST_CASE("one key under two names is refused: one of them could be revoked, and the other not") {
  std::string second = kGood.substr(kGood.find("[[key]]"));
  second.replace(second.find("acme"), 4, "emca");
  CHECK_THAT(message_of(parse_trust_store(kGood + second, "trust.toml")), Catch::Contains("it is \"acme\"'s too"));
}

TEST_CASE("a trust store that others may write to is not read") {
  TempDir dir;
  const auto file = dir.path() / "trust.toml";
  spit(file, kGood);
  CHECK(read_trust_store(file).has_value());
  for (const mode_t mode : {0666, 0664, 0602}) {
    REQUIRE(::chmod(file.c_str(), mode) == 0);
    const auto refused = read_trust_store(file);
    CHECK(code_of(refused) == Code::denied);
    CHECK_THAT(message_of(refused), Catch::Contains("trust.toml") && Catch::Contains("others may write"));
  }
  if (::geteuid() == 0) {
    REQUIRE(::chmod(file.c_str(), 0644) == 0);
    REQUIRE(::chown(file.c_str(), 65534, 65534) == 0);
    CHECK(code_of(read_trust_store(file)) == Code::denied);
  }
}

TEST_CASE("a store that is not there, is a folder or has no end is an error that names it") {
  TempDir dir;
  CHECK(code_of(read_trust_store(dir.path() / "none.toml")) == Code::not_found);
  CHECK(code_of(read_trust_store(dir.path())) == Code::invalid_argument);
  spit(dir.path() / "large.toml", std::string(2 << 20, '#'));
  CHECK_FALSE(read_trust_store(dir.path() / "large.toml"));
  CHECK(code_of(Trust::read((dir.path() / "none.toml").string())) == Code::not_found);
}

TEST_CASE("a store is replaced as a whole") {
  TempDir dir;
  TrustStore store = good(parse_trust_store(kGood, (dir.path() / "trust.toml").string()));
  good(write_trust_store(store));
  store.minimums = {{"scanner", "2"}};
  good(write_trust_store(store));
  CHECK(good(read_trust_store(store.file)).minimums.size() == 1);
  struct stat found{};
  REQUIRE(::stat(store.file.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0644);
}

TEST_CASE("a signature file is written back as it was read") {
  const auto file = good(parse_signature_file(signature_text(kHead, kEntry), "x.so.sig"));
  CHECK(file.kind == ObjectKind::module);
  CHECK(file.signatures.at(0).signature.size() == 64);
  CHECK(signature_file_text(good(parse_signature_file(signature_file_text(file), "x"))) == signature_file_text(file));
}

TEST_CASE("a signature file that is not understood is refused with its name") {
  std::string many = kHead;
  for (int i = 0; i < 17; ++i) many += "[[signature]]\n" + kEntry;
  const std::vector<std::string> bad = {
      "",
      "no toml",
      kHead,
      many,
      std::string(100'000, '#'),
      signature_text(kHead + "colour = 1\n", kEntry),
      signature_text(kHead, kEntry + "colour = 1\n"),
      signature_text(kHead, "key = \"acme\"\n"),
      signature_text("format = 2\nkind = \"module\"\nsha256 = \"" + kDigest + "\"\n", kEntry),
      signature_text("format = 1\nkind = \"driver\"\nsha256 = \"" + kDigest + "\"\n", kEntry),
      signature_text("format = 1\nkind = \"module\"\nsha256 = \"" + std::string(64, 'A') + "\"\n", kEntry),
      signature_text("format = 1\nkind = \"module\"\n", kEntry),
      signature_text(kHead, "key = \"a b\"\nkey_id = \"" + kDigest + "\"\nsignature = \"AAAA\"\n"),
      signature_text(kHead, "key = \"acme\"\nkey_id = \"" + kDigest + "\"\nsignature = \"AAAA\"\n"),
  };
  for (const auto& text : bad) {
    const auto refused = parse_signature_file(text, "x.so.sig");
    INFO(text.substr(0, 200));
    CHECK(code_of(refused) == Code::invalid_argument);
    CHECK_THAT(message_of(refused), Catch::Contains("x.so.sig"));
  }
}

TEST_CASE("what script/sign_object and openssl sign, the library verifies") {
  TempDir dir;
  const SigningKey key(dir, "maker");
  spit(dir.path() / "x.so", "bytes");
  const std::string command = std::string(VMSEC_SOURCE_DIR) + "/script/sign_object plugin " +
                              (dir.path() / "x.so").string() + " " + key.file() + " maker";
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string by_script = good(read_signature(ObjectKind::plugin, dir.path() / "x.so"));
  const auto file = good(parse_signature_file(by_script, "x.so.sig"));
  CHECK(to_string(good(
            trust_in(key.trusted({TrustRole::plugin})).verify(ObjectKind::plugin, "x.so", file.sha256, by_script))) ==
        "maker");
  fs::remove(signature_file_of((dir.path() / "x.so").string()));
  key.sign(dir.path() / "x.so", ObjectKind::plugin);
  CHECK(good(read_signature(ObjectKind::plugin, dir.path() / "x.so")) == by_script);
}

TEST_CASE("a key that others may read signs nothing") {
  TempDir dir;
  const SigningKey key(dir, "maker");
  spit(dir.path() / "x.so", "bytes");
  REQUIRE(::chmod(key.file().c_str(), 0644) == 0);
  CHECK(code_of(sign_object(dir.path() / "x.so", ObjectKind::module, key.file(), "maker")) == Code::denied);
  CHECK_FALSE(fs::exists(dir.path() / "x.so.sig"));
}

}  // namespace vmsec::test
