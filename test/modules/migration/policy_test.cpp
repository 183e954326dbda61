#include "policy.hpp"

#include <catch2/catch.hpp>

using namespace vmsec;
using namespace vmsec::migration;

namespace {

Setting text(std::string path, std::string value, std::uint32_t line = 4) {
  Setting setting;
  setting.path = std::move(path);
  setting.type = SettingType::text;
  setting.text = std::move(value);
  setting.line = line;
  setting.column = 9;
  return setting;
}

Setting number(std::string path, std::int64_t value) {
  Setting setting = text(std::move(path), {});
  setting.type = SettingType::integer;
  setting.integer = value;
  return setting;
}

void expect_error(std::vector<Setting> settings, std::string_view part) {
  const auto policy = read_policy({std::move(settings)});
  REQUIRE_FALSE(policy);
  CHECK(policy.error().code == Code::invalid_argument);
  INFO(policy.error().message);
  CHECK(policy.error().message.find("line 4, column 9: ") == 0);
  CHECK(policy.error().message.find(part) != std::string::npos);
}

}  // namespace

TEST_CASE("without a table everything is at its strictest") {
  const auto policy = read_policy({});
  REQUIRE(policy);
  CHECK(policy->encryption == EncryptionPolicy::required);
  CHECK(policy->attestation == AttestationPolicy::required);
  CHECK(policy->cipher == Cipher::aes_128_gcm);
  CHECK(policy->accelerator == Accelerator::none);
}

TEST_CASE("every key is read") {
  const auto policy =
      read_policy({{text("encryption", "allow-none"), text("cipher", "chacha20-poly1305"), text("accelerator", "vaes"),
                    text("attestation", "none"), text("attestation_max_age", "2 min"), text("call_timeout", "5 s"),
                    text("stall_timeout", "6 s"), text("switch_timeout", "7 s"), number("max_streams", 8),
                    number("max_incoming", 2)}});
  REQUIRE(policy);
  CHECK(policy->encryption == EncryptionPolicy::allow_none);
  CHECK(policy->cipher == Cipher::chacha20_poly1305);
  CHECK(policy->accelerator == Accelerator::vaes);
  CHECK(policy->attestation == AttestationPolicy::none);
  CHECK(policy->attestation_max_age == std::chrono::minutes(2));
  CHECK(policy->call_timeout == std::chrono::seconds(5));
  CHECK(policy->stall_timeout == std::chrono::seconds(6));
  CHECK(policy->switch_timeout == std::chrono::seconds(7));
  CHECK(policy->max_streams == 8);
  CHECK(policy->max_incoming == 2);
}

TEST_CASE("a bad setting is an error with its place") {
  expect_error({text("encryption", "optional")}, "want \"required\" or \"allow-none\"");
  expect_error({number("encryption", 1)}, "it is an integer");
  expect_error({text("cipher", "rot13")}, "aes-128-gcm");
  expect_error({text("cipher", "policy")}, "aes-128-gcm");
  expect_error({text("accelerator", "aes-ni")}, "want \"none\" or \"vaes\"");
  expect_error({number("accelerator", 1)}, "it is an integer");
  expect_error({text("attestation", "sometimes")}, "want \"required\" or \"none\"");
  expect_error({text("attestation_max_age", "30")}, "attestation_max_age");
  expect_error({text("stall_timeout", "1 us")}, "out of range");
  expect_error({text("switch_timeout", "2 h")}, "out of range");
  expect_error({number("max_streams", 0)}, "out of range");
  expect_error({number("max_streams", 100000)}, "out of range");
  expect_error({text("max_incoming", "many")}, "want an integer");
  expect_error({text("ciphers", "aes-128-gcm")}, "unknown key");
  expect_error({text("cipher", "aes-128-gcm"), text("cipher", "aes-256-gcm")}, "it is set twice");
}

TEST_CASE("cipher none as the default needs the policy to allow it") {
  expect_error({text("cipher", "none")}, "allow-none");
  CHECK(read_policy({{text("cipher", "none"), text("encryption", "allow-none")}}));
}
