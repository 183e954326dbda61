#include "config.hpp"

#include <catch2/catch.hpp>

#include "swtpm.hpp"

namespace vmsec::boot::test {
namespace {

Setting text(const std::string& path, const std::string& value) {
  return {path, SettingType::text, value, 0, false, 0, {}, 3, 8};
}

std::string error_of(const Setting& setting) {
  const auto config = Config::read({{setting}});
  REQUIRE_FALSE(config);
  CHECK(config.error().code == Code::invalid_argument);
  return config.error().message;
}

}  // namespace

TEST_CASE("settings are read") {
  Setting age{"max_age_seconds", SettingType::integer, {}, 5, false, 0, {}, 1, 1};
  const auto config = Config::read({{text("reference", "/etc/vmsec/reference.toml"), age}});
  REQUIRE(config);
  CHECK(config->reference == "/etc/vmsec/reference.toml");
  CHECK(config->max_age == std::chrono::seconds(5));
  CHECK(Config::read({})->ek_roots.empty());
}

TEST_CASE("which attestation key is made can be said") {
  CHECK_FALSE(Config::read({})->attestation_key);
  CHECK(Config::read({{text("attestation_key", "ecc")}})->attestation_key == AttestationKeyKind::ecc);
  CHECK(Config::read({{text("attestation_key", "ecc-384")}})->attestation_key == AttestationKeyKind::ecc_384);
  CHECK(Config::read({{text("attestation_key", "rsa")}})->attestation_key == AttestationKeyKind::rsa);
  CHECK(error_of(text("attestation_key", "dsa")).find("\"dsa\": want \"ecc\", \"ecc-384\" or \"rsa\"") !=
        std::string::npos);
}

TEST_CASE("hosts are watched where the configuration says so") {
  Setting watch{"watch_seconds", SettingType::integer, {}, 60, false, 0, {}, 1, 1};
  CHECK(Config::read({})->watch == std::chrono::seconds(0));
  CHECK(Config::read({{watch}})->watch == std::chrono::seconds(60));
  watch.integer = 0;
  CHECK(Config::read({{watch}})->watch == std::chrono::seconds(0));
  for (const int wrong : {-1, 4, 86'401}) {
    watch.integer = wrong;
    CHECK(error_of(watch).find("out of range") != std::string::npos);
  }
}

TEST_CASE("a setting that is not understood is an error with its place") {
  CHECK(error_of(text("referense", "/x")).find("line 3, column 8: referense: unknown key") == 0);
  CHECK(error_of(text("reference", "x")).find("no absolute path") != std::string::npos);
  CHECK(error_of(text("max_age_seconds", "5")).find("an integer of 1 to 600") != std::string::npos);
  Setting age{"max_age_seconds", SettingType::integer, {}, 0, false, 0, {}, 1, 1};
  CHECK(error_of(age).find("out of range") != std::string::npos);
  CHECK(error_of(text("ek_roots", "/does/not/exist")).find("read ek_roots /does/not/exist") != std::string::npos);
}

TEST_CASE("ek_roots without a certificate is an error") {
  TempFolder folder;
  CHECK(error_of(text("ek_roots", folder.file("empty.pem", ""))).find("no certificate") != std::string::npos);
  CHECK(error_of(text("ek_roots", folder.file("text.pem", "hello"))).find("no certificate") != std::string::npos);
  const std::string broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  CHECK(error_of(text("ek_roots", folder.file("broken.pem", broken))).find("certificate 1") != std::string::npos);
}

}  // namespace vmsec::boot::test
