#include "policy.hpp"

#include "bandwidth.hpp"
#include "source_options.hpp"
#include "vmsec/section.hpp"

namespace vmsec::migration {
namespace {

constexpr std::uint32_t kMostBulkChannels = 64;
constexpr std::string_view kKnown =
    "encryption, cipher, suite, accelerator, attestation, attestation_max_age, bandwidth, bulk_channels, "
    "maximum_downtime, maximum_time, auto_converge, post_copy, non_live, call_timeout, stall_timeout, switch_timeout, "
    "max_streams "
    "or max_incoming";

// Of two words, whether it is the second.
Result<bool> is_second(const Setting& setting, std::string_view first, std::string_view second) {
  const std::string want = units::quoted(first) + " or " + units::quoted(second);
  VMSEC_TRY(const std::string_view text, text_of(setting, want));
  if (text != first && text != second) return fail(Code::invalid_argument, units::quoted(text) + ": want " + want);
  return text == second;
}

Status read_encryption(const Setting& setting, Policy& policy) {
  VMSEC_TRY(const bool none, is_second(setting, "required", "allow-none"));
  policy.encryption = none ? EncryptionPolicy::allow_none : EncryptionPolicy::required;
  return {};
}

Status read_cipher(const Setting& setting, Policy& policy) {
  constexpr std::string_view kWant = "\"aes-128-gcm\", \"aes-256-gcm\", \"chacha20-poly1305\" or \"none\"";
  VMSEC_TRY(const std::string_view text, text_of(setting, kWant));
  for (const Cipher cipher : {Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none}) {
    if (text != to_string(cipher)) continue;
    policy.cipher = cipher;
    return {};
  }
  return fail(Code::invalid_argument, units::quoted(text) + ": want " + std::string(kWant));
}

Status read_suite(const Setting& setting, Policy& policy) {
  VMSEC_TRY(const bool tls, is_second(setting, "bulk", "tls"));
  policy.suite = tls ? StreamSuite::tls : StreamSuite::bulk;
  return {};
}

Status read_accelerator(const Setting& setting, Policy& policy) {
  VMSEC_TRY(const bool vaes, is_second(setting, "none", "vaes"));
  policy.accelerator = vaes ? Accelerator::vaes : Accelerator::none;
  return {};
}

Status read_attestation(const Setting& setting, Policy& policy) {
  VMSEC_TRY(const bool none, is_second(setting, "required", "none"));
  policy.attestation = none ? AttestationPolicy::none : AttestationPolicy::required;
  return {};
}

Status read_non_live(const Setting& setting, Policy& policy) {
  VMSEC_TRY(policy.non_live, is_second(setting, "refuse", "allow"));
  return {};
}

Status read_post_copy(const Setting& setting, Policy& policy) {
  VMSEC_TRY(policy.post_copy, is_second(setting, "refuse", "accept-loss"));
  return {};
}

Status read_time(const Setting& setting, std::chrono::microseconds& out) {
  constexpr std::uint64_t kLeast = 100'000, kMost = 3'600'000'000;
  VMSEC_TRY(const std::string_view text, text_of(setting, "a text with " + std::string(units::kTime.want)));
  VMSEC_TRY(const std::uint64_t value, units::parse(units::kTime, text));
  if (value < kLeast || value > kMost)
    return fail(Code::invalid_argument, units::quoted(text) + " is out of range: want 100 ms to 1 h");
  out = std::chrono::microseconds(value);
  return {};
}

Status read_bandwidth(const Setting& setting, Policy& policy) {
  VMSEC_TRY(const std::uint64_t value, limit_of(setting, units::kRate));
  policy.bandwidth = value == 0 ? kUnlimitedBandwidth : BytesPerSecond{value};
  return check_bandwidth(policy.bandwidth);
}

// "unlimited" is 0.
Status read_limit(const Setting& setting, Status (*check)(Microseconds), Microseconds& out) {
  VMSEC_TRY(out.value, limit_of(setting, units::kTime));
  return out.value == 0 ? Status{} : check(out);
}

Status read_flag(const Setting& setting, bool& out) {
  if (setting.type != SettingType::boolean) return wrong_type(setting, "true or false");
  out = setting.boolean;
  return {};
}

Status read_bulk_channels(const Setting& setting, Policy& policy) {
  if (setting.type == SettingType::text && setting.text == "auto") return {};
  auto number = integer_of(setting, 0, kMostBulkChannels);
  if (!number) return fail(number.error().code, number.error().message + ", or \"auto\"");
  policy.bulk_channels = *number;
  return {};
}

Status read_number(const Setting& setting, std::uint32_t most, std::uint32_t& out) {
  VMSEC_TRY(out, integer_of(setting, 1, most));
  return {};
}

Status read_key(const Setting& setting, const SettingPath& path, Policy& policy) {
  if (path == SettingPath{"encryption"}) return read_encryption(setting, policy);
  if (path == SettingPath{"cipher"}) return read_cipher(setting, policy);
  if (path == SettingPath{"suite"}) return read_suite(setting, policy);
  if (path == SettingPath{"accelerator"}) return read_accelerator(setting, policy);
  if (path == SettingPath{"attestation"}) return read_attestation(setting, policy);
  if (path == SettingPath{"attestation_max_age"}) return read_time(setting, policy.attestation_max_age);
  if (path == SettingPath{"bandwidth"}) return read_bandwidth(setting, policy);
  if (path == SettingPath{"bulk_channels"}) return read_bulk_channels(setting, policy);
  if (path == SettingPath{"maximum_downtime"})
    return read_limit(setting, check_maximum_downtime, policy.maximum_downtime);
  if (path == SettingPath{"maximum_time"}) return read_limit(setting, check_maximum_time, policy.maximum_time);
  if (path == SettingPath{"auto_converge"}) return read_flag(setting, policy.auto_converge);
  if (path == SettingPath{"post_copy"}) return read_post_copy(setting, policy);
  if (path == SettingPath{"non_live"}) return read_non_live(setting, policy);
  if (path == SettingPath{"call_timeout"}) return read_time(setting, policy.call_timeout);
  if (path == SettingPath{"stall_timeout"}) return read_time(setting, policy.stall_timeout);
  if (path == SettingPath{"switch_timeout"}) return read_time(setting, policy.switch_timeout);
  if (path == SettingPath{"max_streams"}) return read_number(setting, 1024, policy.max_streams);
  if (path == SettingPath{"max_incoming"}) return read_number(setting, 1024, policy.max_incoming);
  return unknown_key(kKnown);
}

// What each key allows by itself, and not together. At the place of the key that has to change.
void add_contradictions(const Settings& settings, const Policy& policy, Findings& findings) {
  const auto add = [&](std::string_view key, const std::string& message) {
    for (const Setting& setting : settings.settings)
      if (setting.path == key) findings.findings.push_back({setting.line, setting.column, setting.path + message});
  };
  if (policy.cipher == Cipher::none && policy.encryption != EncryptionPolicy::allow_none)
    add("cipher", ": \"none\" needs encryption = \"allow-none\" as well");
  if (policy.suite != StreamSuite::tls) return;
  if (policy.cipher == Cipher::none) add("cipher", ": \"none\" does not go with suite = \"tls\": TLS 1.3 encrypts");
  if (policy.accelerator == Accelerator::vaes)
    add("accelerator", ": \"vaes\" does not go with suite = \"tls\": OpenSSL makes its records");
}

}  // namespace

Result<Policy> read_policy(const Settings& settings) {
  Policy policy;
  Findings findings = read_section(
      settings, [&](const Setting& setting, const SettingPath& path) { return read_key(setting, path, policy); });
  add_contradictions(settings, policy, findings);
  VMSEC_CHECK(no_findings(findings));
  return policy;
}

}  // namespace vmsec::migration
