// What the stores and an object's signatures say together; and making one.
#include <algorithm>

#include "identity/openssl.hpp"
#include "trust/encoding.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

constexpr std::string_view kLabel = "vmsec object signature v1";

// Which of several causes to tell: the more telling one.
int weight(Code code) { return code == Code::expired ? 2 : code == Code::untrusted ? 1 : 0; }

bool has_role(const TrustedKey& key, TrustRole role) { return std::ranges::find(key.roles, role) != key.roles.end(); }

std::string what_of(ObjectKind kind, const std::string& file) {
  return "load " + std::string(to_string(kind)) + " " + file;
}

std::string body_of(ObjectKind kind, std::string_view sha256) {
  return std::string(to_string(kind)) + "\n" + std::string(sha256) + "\n";
}

std::string because(const std::string& reason) { return reason.empty() ? "" : " (" + reason + ")"; }

// That the key made this signature, and may.
Status check_signature(const TrustedKey& key, ObjectKind kind, std::string_view sha256, std::string_view signature,
                       const std::string& what) {
  const identity::KeyHandle handle(EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, nullptr, identity::bytes_of(key.public_key), key.public_key.size()));
  if (!handle) return fail(identity::openssl_error(what + ": key \"" + key.name + "\"", Code::untrusted));
  if (!identity::verify(handle.get(), kLabel, body_of(kind, sha256), signature))
    return fail(Code::tampered, what + ": the signature of key \"" + key.name + "\" does not fit");
  const TrustRole role = kind == ObjectKind::module ? TrustRole::module : TrustRole::plugin;
  if (!has_role(key, role))
    return fail(Code::untrusted,
                what + ": key \"" + key.name + "\" is not trusted for " + std::string(to_string(kind)) + "s");
  if (!key.not_after.empty() && trust::today() > key.not_after)
    return fail(Code::expired, what + ": key \"" + key.name + "\" was trusted until " + key.not_after);
  return {};
}

const TrustedKey* find_in(const TrustStore& store, std::string_view id) {
  const auto found = std::ranges::find_if(store.keys, [&](const auto& key) { return key_id(key.public_key) == id; });
  return found == store.keys.end() ? nullptr : &*found;
}

}  // namespace

std::string key_id(std::string_view public_key) { return identity::hex(identity::sha256(public_key)); }

std::string object_statement(ObjectKind kind, std::string_view sha256) {
  return std::string(kLabel) + '\0' + body_of(kind, sha256);
}

std::string to_string(const Signers& signers) {
  std::string text;
  for (const Signer& signer : signers) text += (text.empty() ? "" : ", ") + signer.name;
  return text;
}

const TrustedKey* Trust::find(std::string_view id) const {
  const TrustedKey* key = find_in(operators_, id);
  return key != nullptr ? key : find_in(shipped_, id);
}

Status Trust::check_revoked(const std::string& what, std::string_view sha256) const {
  for (const TrustStore* store : {&operators_, &shipped_})
    for (const RevokedObject& revoked : store->revoked)
      if (revoked.sha256 == sha256)
        return fail(Code::revoked, what + ": " + store->file + " revokes this file, SHA-256 " + std::string(sha256) +
                                       because(revoked.reason));
  return {};
}

Status Trust::check_key_revoked(const std::string& what, std::string_view id) const {
  for (const TrustStore* store : {&operators_, &shipped_}) {
    const TrustedKey* key = find_in(*store, id);
    if (key != nullptr && !key->revoked.empty())
      return fail(Code::revoked, what + ": key \"" + key->name + "\" is revoked since " + key->revoked + " by " +
                                     store->file + because(key->reason));
  }
  return {};
}

Result<Signers> Trust::verify(ObjectKind kind, const std::string& file, std::string_view sha256,
                              std::string_view signature) const {
  const std::string what = what_of(kind, file);
  VMSEC_CHECK(check_revoked(what, sha256));
  auto signatures = parse_signature_file(signature, signature_file_of(file));
  if (!signatures) return fail(signatures.error().in(what));
  if (signatures->sha256 != sha256)
    return fail(Code::tampered,
                what + ": its SHA-256 is " + std::string(sha256) + ", signed was " + signatures->sha256);
  if (signatures->kind != kind)
    return fail(Code::untrusted, what + ": it is signed as a " + std::string(to_string(signatures->kind)));
  Signers signers;
  Error cause{Code::ok, {}, 0, {}};
  for (const ObjectSignature& one : signatures->signatures) {
    VMSEC_CHECK(check_key_revoked(what, one.key_id));
    const TrustedKey* key = find(one.key_id);
    const Status fits = key == nullptr
                            ? fail(Code::untrusted, what + ": nobody trusts key \"" + one.key + "\", id " + one.key_id)
                            : check_signature(*key, kind, sha256, one.signature, what);
    if (fits) signers.push_back({key->name, one.key_id});
    if (!fits && fits.error().code == Code::tampered) return fail(fits.error());
    if (!fits && weight(fits.error().code) >= weight(cause.code)) cause = fits.error();
  }
  if (signers.empty()) return fail(cause);
  return signers;
}

Status Trust::check_version(const std::string& file, const std::string& module, const std::string& version) const {
  VMSEC_TRY(const ModuleVersion is, parse_version(version));
  for (const TrustStore* store : {&operators_, &shipped_})
    for (const MinimumVersion& minimum : store->minimums) {
      if (minimum.module != module) continue;
      VMSEC_TRY(const ModuleVersion least, parse_version(minimum.version));
      if (is_older(is, least))
        return fail(Code::denied, what_of(ObjectKind::module, file) + ": " + module + " " + version +
                                      " is older than the " + minimum.version + " that " + store->file +
                                      " wants at the least");
    }
  return {};
}

Status Trust::check_in_process(const std::string& file, const Signers& signers) const {
  for (const Signer& signer : signers) {
    const TrustedKey* key = find_in(operators_, signer.key_id);
    if (key != nullptr && has_role(*key, TrustRole::in_process)) return {};
  }
  return fail(Code::denied, what_of(ObjectKind::module, file) + " into the host's process: " + operators_.file +
                                " gives no key of its signers (" + to_string(signers) +
                                ") the role in-process (vmsec module trust add)");
}

Result<std::string> read_public_key(std::string_view pem, const std::string& file) {
  VMSEC_TRY(const identity::KeyHandle key, identity::parse_public(pem, file));
  std::string bytes(trust::kPublicKey, '\0');
  std::size_t size = bytes.size();
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key.get(), identity::bytes_of(bytes), &size) != 1 || size != bytes.size())
    return fail(Code::invalid_argument, file + ": its key is not Ed25519");
  return bytes;
}

}  // namespace vmsec
