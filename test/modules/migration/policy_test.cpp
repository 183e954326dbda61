#include "source_options.hpp"

#include <sched.h>

#include "bulk_channels.hpp"

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
  CHECK(policy->suite == StreamSuite::bulk);
  CHECK(policy->bandwidth == kUnlimitedBandwidth);
}

TEST_CASE("every key is read") {
  const auto policy =
      read_policy({{text("encryption", "allow-none"), text("cipher", "chacha20-poly1305"), text("accelerator", "vaes"),
                    text("attestation", "none"), text("attestation_max_age", "2 min"), text("call_timeout", "5 s"),
                    text("bandwidth", "1 Gbit/s"), text("stall_timeout", "6 s"), text("switch_timeout", "7 s"),
                    number("max_streams", 8), number("max_incoming", 2)}});
  REQUIRE(policy);
  CHECK(policy->encryption == EncryptionPolicy::allow_none);
  CHECK(policy->cipher == Cipher::chacha20_poly1305);
  CHECK(policy->accelerator == Accelerator::vaes);
  CHECK(policy->attestation == AttestationPolicy::none);
  CHECK(policy->attestation_max_age == std::chrono::minutes(2));
  CHECK(policy->call_timeout == std::chrono::seconds(5));
  CHECK(policy->stall_timeout == std::chrono::seconds(6));
  CHECK(policy->switch_timeout == std::chrono::seconds(7));
  CHECK(policy->bandwidth == BytesPerSecond{125'000'000});
  CHECK(policy->max_streams == 8);
  CHECK(policy->max_incoming == 2);
}

TEST_CASE("a bad setting is an error with its place") {
  expect_error({text("encryption", "optional")}, "want \"required\" or \"allow-none\"");
  expect_error({number("encryption", 1)}, "it is an integer");
  expect_error({text("cipher", "rot13")}, "aes-128-gcm");
  expect_error({text("cipher", "policy")}, "aes-128-gcm");
  expect_error({text("suite", "quic")}, "want \"bulk\" or \"tls\"");
  expect_error({number("suite", 1)}, "it is an integer");
  expect_error({text("bulk_channels", "many")}, "or \"auto\"");
  expect_error({number("bulk_channels", 65)}, "out of range");
  expect_error({text("maximum_downtime", "0 ms")}, "unlimited");
  expect_error({text("maximum_downtime", "2 min")}, "out of range");
  expect_error({text("maximum_time", "10 ms")}, "out of range");
  expect_error({text("maximum_time", "soon")}, "maximum_time: ");
  expect_error({text("auto_converge", "yes")}, "want true or false");
  expect_error({text("bandwidth", "fast")}, "bandwidth: ");
  expect_error({text("bandwidth", "0 MB/s")}, "unlimited");
  expect_error({text("bandwidth", "10 B/s")}, "out of range");
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

TEST_CASE("suite tls goes neither with cipher none nor with an accelerator") {
  const auto policy = read_policy({{text("suite", "tls"), text("cipher", "aes-256-gcm")}});
  REQUIRE(policy);
  CHECK(policy->suite == StreamSuite::tls);
  expect_error({text("suite", "tls"), text("accelerator", "vaes")}, "OpenSSL makes its records");
  expect_error({text("suite", "tls"), text("cipher", "none"), text("encryption", "allow-none")}, "TLS 1.3 encrypts");
  CHECK(read_policy({{text("suite", "tls"), text("accelerator", "none")}}));
}

TEST_CASE("limits on how a migration converges are the request's, else the configuration's") {
  Setting converge = text("auto_converge", {});
  converge.type = SettingType::boolean;
  converge.boolean = true;
  const auto policy = read_policy({{text("maximum_downtime", "200 ms"), text("maximum_time", "10 min"), converge}});
  REQUIRE(policy);
  MigrateRequest request;
  auto options = source_options(*policy, request);
  REQUIRE(options);
  CHECK(options->hypervisor.maximum_downtime == Microseconds{200'000});
  CHECK(options->hypervisor.auto_converge);
  CHECK(options->maximum_time == Microseconds{600'000'000});
  request.options.maximum_downtime = {50'000};
  request.maximum_time = {1'000'000};
  options = source_options(*policy, request);
  REQUIRE(options);
  CHECK(options->hypervisor.maximum_downtime == Microseconds{50'000});
  CHECK(options->maximum_time == Microseconds{1'000'000});
  request.maximum_time = {1};
  CHECK(source_options(*policy, request).error().code == Code::invalid_argument);
  const auto none = source_options({}, {});
  REQUIRE(none);
  CHECK(none->maximum_time.value == 0);
  CHECK(none->hypervisor.maximum_downtime.value == 0);
  CHECK_FALSE(none->hypervisor.auto_converge);
}

TEST_CASE("bulk channels are the request's, else the configuration's, else by the CPUs") {
  Policy policy = *read_policy({{text("bulk_channels", "auto")}});
  MigrateRequest request;
  const std::pair<std::uint32_t, std::uint32_t> by_cpus[] = {{1, 0}, {2, 0}, {3, 0},  {4, 2},
                                                             {5, 2}, {8, 4}, {16, 4}, {256, 4}};
  DomainDescription domain;
  domain.bulk_channels = 64;
  const DomainDescription single;  // of a hypervisor with one channel
  for (const auto& [cpus, channels] : by_cpus) {
    CHECK(bulk_channels(policy, request, domain, cpus) == channels);
    CHECK(bulk_channels(policy, request, single, cpus) == 0);
  }
  domain.bulk_channels = 3;
  CHECK(bulk_channels(policy, request, domain, 16) == 3);
  domain.bulk_channels = 64;
  policy.max_streams = 4;
  CHECK(bulk_channels(policy, request, domain, 16) == 2);
  domain.disks = {{"vda", {1 << 20}, {}}, {"vdb", {}, "read-only"}};
  policy.max_streams = 5;
  CHECK(bulk_channels(policy, request, domain, 16) == 3);
  request.options.copy_disks = true;
  CHECK(bulk_channels(policy, request, domain, 16) == 2);
  policy.max_streams = 1;
  CHECK(bulk_channels(policy, request, domain, 16) == 0);
  policy.bulk_channels = 0;
  CHECK(bulk_channels(policy, request, domain, 16) == 0);
  policy.bulk_channels = 5;
  CHECK(bulk_channels(policy, request, domain, 1) == 5);
  request.options.bulk_channels = 2;
  CHECK(bulk_channels(policy, request, domain, 16) == 2);
  request.options.bulk_channels = kNoBulkChannels;
  CHECK(bulk_channels(policy, request, domain, 16) == 0);
  CHECK(usable_cpus() >= 1);
}

TEST_CASE("a process that may use one CPU counts one") {
  cpu_set_t before;
  REQUIRE(::sched_getaffinity(0, sizeof before, &before) == 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(usable_cpus() == 1);
  REQUIRE(::sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(usable_cpus() == static_cast<std::uint32_t>(CPU_COUNT(&before)));
}

TEST_CASE("cipher none as the default needs the policy to allow it") {
  expect_error({text("cipher", "none")}, "allow-none");
  CHECK(read_policy({{text("cipher", "none"), text("encryption", "allow-none")}}));
}

TEST_CASE("post-copy is refused unless the operator accepts in words what it may cost") {
  MigrateRequest request;
  request.options.post_copy = true;
  CHECK(source_options(*read_policy({}), request).error().code == Code::denied);
  CHECK(source_options(*read_policy({{text("post_copy", "refuse")}}), request).error().code == Code::denied);
  const auto accepted = read_policy({{text("post_copy", "accept-loss"), number("bulk_channels", 4)}});
  REQUIRE(accepted);
  const auto options = source_options(*accepted, request);
  REQUIRE(options);
  CHECK(options->hypervisor.post_copy);
  CHECK(bulk_channels(*accepted, request, DomainDescription{.bulk_channels = 64}, 16) == 0);
  expect_error({text("post_copy", "accept")}, "want \"refuse\" or \"accept-loss\"");
  // It is asked for, never the rule.
  CHECK_FALSE(source_options(*accepted, MigrateRequest())->hypervisor.post_copy);
}
