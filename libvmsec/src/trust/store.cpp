// A trust store's text, read and written.
#include <algorithm>
#include <array>

#include "trust/encoding.hpp"
#include "trust/reader.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

using trust::Reader;
using trust::Table;
using Presence = Reader::Presence;

constexpr std::size_t kMaximumText = 1 << 20;
constexpr std::int64_t kStoreFormat = 1;
constexpr std::array kRoles = {TrustRole::module, TrustRole::plugin, TrustRole::in_process};

Result<std::string> read_day(const Reader& reader, const Table& table, std::string_view key) {
  VMSEC_TRY(std::string day, reader.text(table, key, Presence::optional));
  if (!day.empty() && !trust::is_day(day)) return reader.at(table, key, "must be a day, as \"2036-01-31\"");
  return day;
}

Result<std::string> read_reason(const Reader& reader, const Table& table) {
  VMSEC_TRY(std::string reason, reader.text(table, "reason", Presence::optional));
  if (!trust::is_sentence(reason)) return reader.at(table, "reason", "must be printable ASCII, at most 256 bytes");
  return reason;
}

Status read_roles(const Reader& reader, const Table& table, TrustedKey& key) {
  VMSEC_TRY(const auto roles, reader.texts(table, "roles"));
  for (const auto& text : roles) {
    const auto role = parse_role(text);
    if (!role) return reader.at(table, "roles", role.error().message);
    if (std::ranges::find(key.roles, *role) != key.roles.end())
      return reader.at(table, "roles", "\"" + text + "\" is there twice");
    key.roles.push_back(*role);
  }
  if (key.roles.empty()) return reader.at(table, "roles", "must name one at least");
  return {};
}

Result<TrustedKey> read_key(const Reader& reader, const Table& table) {
  VMSEC_CHECK(reader.only(table, {"name", "public_key", "roles", "not_after", "revoked", "reason"}));
  TrustedKey key;
  VMSEC_TRY(key.name, reader.text(table, "name", Presence::required));
  if (!trust::is_key_name(key.name)) return reader.at(table, "name", "is no key's name: a-z, 0-9, '-', '_' and '.'");
  VMSEC_TRY(const std::string public_key, reader.text(table, "public_key", Presence::required));
  auto bytes = trust::from_base64(public_key, trust::kPublicKey);
  if (!bytes) return reader.at(table, "public_key", bytes.error().message);
  key.public_key = std::move(*bytes);
  VMSEC_CHECK(read_roles(reader, table, key));
  VMSEC_TRY(key.not_after, read_day(reader, table, "not_after"));
  VMSEC_TRY(key.revoked, read_day(reader, table, "revoked"));
  VMSEC_TRY(key.reason, read_reason(reader, table));
  if (!key.reason.empty() && key.revoked.empty()) return reader.at(table, "reason", "is of a revocation: give revoked");
  return key;
}

Result<MinimumVersion> read_minimum(const Reader& reader, const Table& table) {
  VMSEC_CHECK(reader.only(table, {"module", "version"}));
  MinimumVersion minimum;
  VMSEC_TRY(minimum.module, reader.text(table, "module", Presence::required));
  if (!trust::is_key_name(minimum.module)) return reader.at(table, "module", "is no module's name");
  VMSEC_TRY(minimum.version, reader.text(table, "version", Presence::required));
  if (const auto version = parse_version(minimum.version); !version)
    return reader.at(table, "version", version.error().message);
  return minimum;
}

Result<RevokedObject> read_revoked(const Reader& reader, const Table& table) {
  VMSEC_CHECK(reader.only(table, {"sha256", "reason"}));
  RevokedObject revoked;
  VMSEC_TRY(revoked.sha256, reader.text(table, "sha256", Presence::required));
  if (!trust::is_digest(revoked.sha256))
    return reader.at(table, "sha256", "must be a SHA-256 in hexadecimal, in small letters");
  VMSEC_TRY(revoked.reason, read_reason(reader, table));
  return revoked;
}

Status add_key(const Reader& reader, const Table& table, TrustStore& store) {
  VMSEC_TRY(TrustedKey key, read_key(reader, table));
  for (const auto& other : store.keys) {
    if (other.name == key.name) return reader.at(table, "name", "a second key \"" + key.name + "\"");
    if (other.public_key == key.public_key) return reader.at(table, "public_key", "it is \"" + other.name + "\"'s too");
  }
  store.keys.push_back(std::move(key));
  return {};
}

Status add_minimum(const Reader& reader, const Table& table, TrustStore& store) {
  VMSEC_TRY(MinimumVersion minimum, read_minimum(reader, table));
  for (const auto& other : store.minimums)
    if (other.module == minimum.module)
      return reader.at(table, "module", "a second minimum of \"" + minimum.module + "\"");
  store.minimums.push_back(std::move(minimum));
  return {};
}

}  // namespace

std::string_view to_string(TrustRole role) {
  switch (role) {
    case TrustRole::module:
      return "module";
    case TrustRole::plugin:
      return "plugin";
    case TrustRole::in_process:
      return "in-process";
  }
  return "?";
}

Result<TrustRole> parse_role(std::string_view text) {
  for (const TrustRole role : kRoles)
    if (to_string(role) == text) return role;
  return fail(Code::invalid_argument, "\"" + std::string(text) + "\" is no role: module, plugin or in-process");
}

Result<TrustStore> parse_trust_store(std::string_view text, const std::string& file) {
  if (text.size() > kMaximumText) return fail(Code::invalid_argument, file + ": larger than 1 MiB");
  VMSEC_TRY(const Settings settings, parse_settings(text, file));
  VMSEC_TRY(const Reader reader, Reader::read(settings, file, {"key", "minimum", "revoked"}));
  VMSEC_CHECK(reader.only(reader.top(), {"format"}));
  VMSEC_CHECK(reader.check_format(kStoreFormat));
  TrustStore store;
  store.file = file;
  for (const Table& table : reader.tables("key")) VMSEC_CHECK(add_key(reader, table, store));
  for (const Table& table : reader.tables("minimum")) VMSEC_CHECK(add_minimum(reader, table, store));
  for (const Table& table : reader.tables("revoked")) {
    VMSEC_TRY(RevokedObject revoked, read_revoked(reader, table));
    store.revoked.push_back(std::move(revoked));
  }
  return store;
}

std::string trust_store_text(const TrustStore& store) {
  std::string text = "# Whose modules and plugins this host runs: vmsec module trust --help\nformat = 1\n";
  const auto line = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) text += std::string(key) + " = " + trust::quote(value) + "\n";
  };
  for (const TrustedKey& key : store.keys) {
    text += "\n[[key]]\n";
    line("name", key.name);
    line("public_key", trust::to_base64(key.public_key));
    std::string roles;
    for (const TrustRole role : key.roles) roles += (roles.empty() ? "" : ", ") + trust::quote(to_string(role));
    text += "roles = [" + roles + "]\n";
    line("not_after", key.not_after);
    line("revoked", key.revoked);
    line("reason", key.reason);
  }
  for (const MinimumVersion& minimum : store.minimums) {
    text += "\n[[minimum]]\n";
    line("module", minimum.module);
    line("version", minimum.version);
  }
  for (const RevokedObject& revoked : store.revoked) {
    text += "\n[[revoked]]\n";
    line("sha256", revoked.sha256);
    line("reason", revoked.reason);
  }
  return text;
}

}  // namespace vmsec
