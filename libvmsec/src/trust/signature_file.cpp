// The file NAME.so.sig, read and written.
#include "trust/encoding.hpp"
#include "trust/reader.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/trust.hpp"

namespace vmsec {
namespace {

using trust::Reader;
using trust::Table;

constexpr std::size_t kMaximumSignatures = 16;
constexpr std::int64_t kFormat = 1;

Result<ObjectSignature> read_signature(const Reader& reader, const Table& table) {
  VMSEC_CHECK(reader.only(table, {"key", "key_id", "signature"}));
  ObjectSignature read;
  VMSEC_TRY(read.key, reader.text(table, "key", Reader::Presence::required));
  if (!trust::is_key_name(read.key)) return reader.at(table, "key", "is no key's name: a-z, 0-9, '-', '_' and '.'");
  VMSEC_TRY(read.key_id, reader.text(table, "key_id", Reader::Presence::required));
  if (!trust::is_digest(read.key_id)) return reader.at(table, "key_id", "must be a SHA-256 in hexadecimal");
  VMSEC_TRY(const std::string signature, reader.text(table, "signature", Reader::Presence::required));
  auto bytes = trust::from_base64(signature, trust::kSignature);
  if (!bytes) return reader.at(table, "signature", bytes.error().message);
  read.signature = std::move(*bytes);
  return read;
}

}  // namespace

Result<SignatureFile> parse_signature_file(std::string_view text, const std::string& file) {
  if (text.size() > trust::kMaximumSignatureFile) return fail(Code::invalid_argument, file + ": larger than 64 KiB");
  VMSEC_TRY(const Settings settings, parse_settings(text, file));
  VMSEC_TRY(const Reader reader, Reader::read(settings, file, {"signature"}));
  VMSEC_CHECK(reader.only(reader.top(), {"format", "kind", "sha256"}));
  VMSEC_CHECK(reader.check_format(kFormat));
  SignatureFile read;
  VMSEC_TRY(const std::string kind, reader.text(reader.top(), "kind", Reader::Presence::required));
  if (kind != "module" && kind != "plugin") return reader.at(reader.top(), "kind", "must be module or plugin");
  read.kind = kind == "module" ? ObjectKind::module : ObjectKind::plugin;
  VMSEC_TRY(read.sha256, reader.text(reader.top(), "sha256", Reader::Presence::required));
  if (!trust::is_digest(read.sha256))
    return reader.at(reader.top(), "sha256", "must be a SHA-256 in hexadecimal, in small letters");
  const auto tables = reader.tables("signature");
  if (tables.empty() || tables.size() > kMaximumSignatures)
    return fail(Code::invalid_argument, file + ": it must have 1 to 16 signatures");
  for (const Table& table : tables) {
    VMSEC_TRY(ObjectSignature signature, read_signature(reader, table));
    read.signatures.push_back(std::move(signature));
  }
  return read;
}

std::string signature_file_text(const SignatureFile& file) {
  std::string text =
      "format = 1\nkind = " + trust::quote(to_string(file.kind)) + "\nsha256 = " + trust::quote(file.sha256) + "\n";
  for (const auto& signature : file.signatures)
    text += "\n[[signature]]\nkey = " + trust::quote(signature.key) + "\nkey_id = " + trust::quote(signature.key_id) +
            "\nsignature = " + trust::quote(trust::to_base64(signature.signature)) + "\n";
  return text;
}

}  // namespace vmsec
