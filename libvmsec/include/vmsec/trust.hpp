// Whose modules and plugins a host runs. An object carries a detached signature
// (NAME.so.sig); trust stores say whose keys count, for what and until when.
//
//   format = 1                          # trust.toml
//   [[key]]
//   name = "acme"
//   public_key = "u0Z..."               # Ed25519, 32 bytes in base64
//   roles = ["module"]                  # module, plugin, in-process
//   not_after = "2036-01-01"            # optional, the last day: afterwards nothing that it signed loads
//   revoked = "2030-05-01"              # optional: nothing that it signed loads, whenever it did
//   reason = "lost"                     # of the revocation
//   [[minimum]]                         # no older version loads
//   module = "scanner"
//   version = "1.4.2"
//   [[revoked]]                         # never loads, whoever signed it
//   sha256 = "0123..."
//   reason = "CVE-2031-1"
//
// There are two: the shipped one beside libvmsec, and the operator's, which
// has the last word. A key that the operator's names counts as it says there; what
// either revokes is revoked, and of two minimum versions the higher one holds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"

namespace vmsec {

enum class ObjectKind { module, plugin };
constexpr std::string_view to_string(ObjectKind kind) { return kind == ObjectKind::module ? "module" : "plugin"; }

// What a key may vouch for. in_process: modules in the host's own process, and
// only the operator's store gives it.
enum class TrustRole { module, plugin, in_process };
VMSEC_EXPORT std::string_view to_string(TrustRole role);
// `invalid_argument`
VMSEC_EXPORT Result<TrustRole> parse_role(std::string_view text);

// Dotted numbers ("1.4.2"), compared as numbers; a part that is not there is 0.
struct ModuleVersion {
  std::vector<std::uint32_t> parts;
};
// `invalid_argument`: no digits, leading zeros, more than 8 parts, a number beyond 32 bits.
VMSEC_EXPORT Result<ModuleVersion> parse_version(std::string_view text);
VMSEC_EXPORT bool is_older(const ModuleVersion& a, const ModuleVersion& b);

struct TrustedKey {
  std::string name;        // a-z, 0-9, '-', '_' and '.'
  std::string public_key;  // 32 bytes
  std::vector<TrustRole> roles;
  std::string not_after;  // the last day, "YYYY-MM-DD" in UTC; empty: for ever
  std::string revoked;    // since when, "YYYY-MM-DD"; empty: it is not
  std::string reason;
};

struct MinimumVersion {
  std::string module;
  std::string version;
};

struct RevokedObject {
  std::string sha256;  // hexadecimal
  std::string reason;
};

// A value.
struct TrustStore {
  std::string file;  // for messages
  std::vector<TrustedKey> keys;
  std::vector<MinimumVersion> minimums;
  std::vector<RevokedObject> revoked;
};

inline constexpr std::string_view kOperatorTrust = "/etc/vmsec/trust.toml";
// Where libvmsec's own is: "vmsec/trust.toml" beside it.
VMSEC_EXPORT std::string shipped_trust();

// Strict: unknown keys, wrong types, two keys of one name, bad base64 or dates are
// `invalid_argument` with file, line and column.
VMSEC_EXPORT Result<TrustStore> parse_trust_store(std::string_view text, const std::string& file);
// `not_found`, `io`; `denied` where a stranger owns the file or others may write
// to it; what parse_trust_store() answers.
VMSEC_EXPORT Result<TrustStore> read_trust_store(const std::string& file);
// What parse_trust_store() reads back as the same.
VMSEC_EXPORT std::string trust_store_text(const TrustStore& store);
// Replaces the file as a whole, mode 0644. `io`; after an error the old one is there.
VMSEC_EXPORT Status write_trust_store(const TrustStore& store);

// One object's signatures: the file NAME.so.sig.
struct ObjectSignature {
  std::string key;        // the signer's name for its key: informs, and is not believed
  std::string key_id;     // SHA-256 of the public key, hexadecimal
  std::string signature;  // 64 bytes, over object_statement()
};
struct SignatureFile {
  ObjectKind kind = ObjectKind::module;
  std::string sha256;  // of the object, hexadecimal
  std::vector<ObjectSignature> signatures;
};
// Strict, as parse_trust_store(). At most 64 KiB and 16 signatures.
VMSEC_EXPORT Result<SignatureFile> parse_signature_file(std::string_view text, const std::string& file);
VMSEC_EXPORT std::string signature_file_text(const SignatureFile& file);
inline std::string signature_file_of(std::string_view object) { return std::string(object) + ".sig"; }

// The text of an object's signature file. `untrusted` where there is none, `io`.
VMSEC_EXPORT Result<std::string> read_signature(ObjectKind kind, const std::string& file);

// What a signature is over: "vmsec object signature v1", a zero byte, "<kind>\n<sha256>\n".
VMSEC_EXPORT std::string object_statement(ObjectKind kind, std::string_view sha256);
// The 32 bytes of an Ed25519 public key in PEM, and the id of such a key. `invalid_argument`.
VMSEC_EXPORT Result<std::string> read_public_key(std::string_view pem, const std::string& file);
VMSEC_EXPORT std::string key_id(std::string_view public_key);

// Who vouches for an object.
struct Signer {
  std::string name;    // the trust store's
  std::string key_id;  // SHA-256 of the public key, hexadecimal
};
using Signers = std::vector<Signer>;
VMSEC_EXPORT std::string to_string(const Signers& signers);  // "acme, distro"

// Both stores. A value; read by any thread.
class VMSEC_EXPORT Trust {
 public:
  Trust(TrustStore shipped, TrustStore operators) : shipped_(std::move(shipped)), operators_(std::move(operators)) {}
  // Reads both. No shipped one is an empty one; so is no kOperatorTrust where
  // `operators` is empty. A file that is named must be there.
  static Result<Trust> read(const std::string& operators);

  // Who vouches for these bytes: one at least. `signature` is the text of the
  // signature file. One trusted signature is enough, but none may be wrong. Each
  // error names object, key and cause:
  //   untrusted  no key of these signatures is trusted for this kind, or they are for the other kind
  //   tampered   a trusted key's signature does not fit, or the file is another object's
  //   expired    the key's time is over
  //   revoked    the object's digest or one of its signers' keys is revoked
  //   invalid_argument  the signature file is none
  [[nodiscard]] Result<Signers> verify(ObjectKind kind, const std::string& file, std::string_view sha256,
                                       std::string_view signature) const;
  // `denied` below a minimum version.
  [[nodiscard]] Status check_version(const std::string& file, const std::string& module,
                                     const std::string& version) const;
  // `denied` unless the operator's store gives one of the keys the role in-process.
  [[nodiscard]] Status check_in_process(const std::string& file, const Signers& signers) const;
  [[nodiscard]] const TrustStore& shipped() const { return shipped_; }
  [[nodiscard]] const TrustStore& operators() const { return operators_; }

 private:
  [[nodiscard]] const TrustedKey* find(std::string_view id) const;
  [[nodiscard]] Status check_revoked(const std::string& what, std::string_view sha256) const;
  [[nodiscard]] Status check_key_revoked(const std::string& what, std::string_view id) const;

  TrustStore shipped_;
  TrustStore operators_;
};

// What is known of an object without running any of it: for tools.
struct ObjectReport {
  ObjectKind kind = ObjectKind::module;
  std::string file;
  std::string sha256;
  std::uint32_t abi_major = 0;  // of modules
  std::uint32_t abi_minor = 0;
  std::string name;  // the manifest's, of modules
  std::string version;
  std::string summary;
  std::string section;
  std::vector<std::string> provides;
  std::vector<std::string> needs;
  std::vector<std::string> asks;
  std::vector<std::string> links;
  std::string signer;           // the trusted key's name; empty: nobody
  std::vector<Error> refusals;  // why a host would not load it; empty: it would
};
// `io`, `unsupported`: it cannot be read, or is no such object.
VMSEC_EXPORT Result<ObjectReport> inspect_object(const std::string& file, ObjectKind kind, const Trust& trust);
// What a plugin says of itself, where a host would load it. None of it runs.
VMSEC_EXPORT Result<std::string> plugin_summary(const std::string& file, const Trust& trust);
// Signs the file's bytes and writes NAME.so.sig. Signatures that are there already
// stay where they are of the same bytes and another key. `key_file` is an Ed25519
// private key in PEM that nobody else may read; `name` is what to call it.
VMSEC_EXPORT Result<SignatureFile> sign_object(const std::string& file, ObjectKind kind, const std::string& key_file,
                                               const std::string& name);

}  // namespace vmsec
