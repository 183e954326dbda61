// Signing an object, and reading what it is signed with.
#include <sys/stat.h>

#include <filesystem>

#include "identity/files.hpp"
#include "identity/openssl.hpp"
#include "trust/encoding.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

constexpr std::size_t kMaximumObject = 256 << 20;

// The signatures that are there of the same bytes and other keys.
Result<std::vector<ObjectSignature>> others(const std::string& file, const SignatureFile& fresh,
                                            const std::string& key_id) {
  const auto text = identity::read_file(signature_file_of(file), trust::kMaximumSignatureFile);
  if (!text && text.error().code == Code::not_found) return std::vector<ObjectSignature>{};
  if (!text) return fail(text.error());
  auto old = parse_signature_file(*text, signature_file_of(file));
  if (!old || old->sha256 != fresh.sha256 || old->kind != fresh.kind) return std::vector<ObjectSignature>{};
  std::erase_if(old->signatures, [&](const ObjectSignature& one) { return one.key_id == key_id; });
  return std::move(old->signatures);
}

}  // namespace

Result<std::string> read_signature(ObjectKind kind, const std::string& file) {
  auto text = identity::read_file(signature_file_of(file), trust::kMaximumSignatureFile);
  if (text) return text;
  const std::string what = "load " + std::string(to_string(kind)) + " " + file;
  if (text.error().code != Code::not_found) return fail(text.error().in(what));
  return fail(Code::untrusted, what + ": it is not signed: there is no " + signature_file_of(file));
}

Result<SignatureFile> sign_object(const std::string& file, ObjectKind kind, const std::string& key_file,
                                  const std::string& name) {
  const std::string what = "sign " + file;
  if (!trust::is_key_name(name))
    return fail(Code::invalid_argument, what + ": \"" + name + "\" is no key's name: a-z, 0-9, '-', '_' and '.'");
  VMSEC_TRY(const identity::KeyHandle key, identity::load_private(key_file));
  std::string public_key(trust::kPublicKey, '\0');
  std::size_t size = public_key.size();
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_public_key(key.get(), identity::bytes_of(public_key), &size) != 1)
    return fail(Code::invalid_argument, what + ": " + key_file + ": its key is not Ed25519");
  VMSEC_TRY(const std::string bytes, identity::read_file(file, kMaximumObject));
  SignatureFile made;
  made.kind = kind;
  made.sha256 = identity::hex(identity::sha256(bytes));
  ObjectSignature signature{name, key_id(public_key), {}};
  const std::string statement = object_statement(kind, made.sha256);
  const auto label = statement.find('\0');
  VMSEC_TRY(signature.signature,
            identity::sign(key.get(), std::string_view(statement).substr(0, label), statement.substr(label + 1)));
  VMSEC_TRY(made.signatures, others(file, made, signature.key_id));
  made.signatures.push_back(std::move(signature));
  VMSEC_CHECK(identity::replace_file(signature_file_of(file), signature_file_text(made), 0644));
  return made;
}

}  // namespace vmsec
