#include "config.hpp"

#include "evidence/ek_certificate.hpp"
#include "evidence/files.hpp"
#include "vmsec/section.hpp"

namespace vmsec::boot {
namespace {

constexpr std::uint32_t kLongestAge = 600;
constexpr std::uint32_t kShortestWatch = 5;
constexpr std::uint32_t kLongestWatch = 86'400;
constexpr std::size_t kMaxRootsBytes = std::size_t{1} << 20;

Result<std::string> absolute_path(const Setting& setting) {
  VMSEC_TRY(const auto text, text_of(setting, "an absolute path"));
  if (!text.starts_with('/'))
    return fail(Code::invalid_argument,
                "\"" + std::string(text) + "\" is no absolute path: want one as \"/etc/vmsec/reference.toml\"");
  return std::string(text);
}

Result<AttestationKeyKind> key_kind(const Setting& setting) {
  static constexpr std::string_view kWant = "\"ecc\", \"ecc-384\" or \"rsa\"";
  VMSEC_TRY(const auto text, text_of(setting, kWant));
  if (text == "ecc") return AttestationKeyKind::ecc;
  if (text == "ecc-384") return AttestationKeyKind::ecc_384;
  if (text == "rsa") return AttestationKeyKind::rsa;
  return fail(Code::invalid_argument, "\"" + std::string(text) + "\": want " + std::string(kWant));
}

Status read_one(const Setting& setting, const SettingPath& path, Config& config) {
  if (path == SettingPath{"reference"}) {
    VMSEC_TRY(config.reference, absolute_path(setting));
    return {};
  }
  if (path == SettingPath{"ek_roots"}) {
    VMSEC_TRY(const auto file, absolute_path(setting));
    VMSEC_TRY(config.ek_roots, read_file(file, kMaxRootsBytes, "ek_roots"));
    VMSEC_CHECK(check_roots(config.ek_roots));
    return {};
  }
  if (path == SettingPath{"guest_references"}) {
    VMSEC_TRY(config.guest_references, absolute_path(setting));
    return {};
  }
  if (path == SettingPath{"guest_ek_roots"}) {
    VMSEC_TRY(const auto file, absolute_path(setting));
    VMSEC_TRY(config.guest_ek_roots, read_file(file, kMaxRootsBytes, "guest_ek_roots"));
    VMSEC_CHECK(check_roots(config.guest_ek_roots));
    return {};
  }
  if (path == SettingPath{"max_age_seconds"}) {
    VMSEC_TRY(const auto seconds, integer_of(setting, 1, kLongestAge));
    config.max_age = std::chrono::seconds(seconds);
    return {};
  }
  if (path == SettingPath{"attestation_key"}) {
    VMSEC_TRY(config.attestation_key, key_kind(setting));
    return {};
  }
  if (path == SettingPath{"watch_seconds"}) {
    VMSEC_TRY(const auto seconds, integer_of(setting, 0, kLongestWatch));
    if (seconds != 0 && seconds < kShortestWatch)
      return fail(Code::invalid_argument, std::to_string(seconds) +
                                              " is out of range: want 0 (never) or an integer of " +
                                              std::to_string(kShortestWatch) + " to " + std::to_string(kLongestWatch));
    config.watch = std::chrono::seconds(seconds);
    return {};
  }
  return unknown_key(
      "reference, ek_roots, guest_references, guest_ek_roots, attestation_key, max_age_seconds or watch_seconds");
}

}  // namespace

Result<Config> Config::read(const Settings& settings) {
  Config config;
  VMSEC_CHECK(no_findings(read_section(
      settings, [&](const Setting& setting, const SettingPath& path) { return read_one(setting, path, config); })));
  return config;
}

}  // namespace vmsec::boot
