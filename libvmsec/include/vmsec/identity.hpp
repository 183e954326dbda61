// Who a host is, whom it believes, and who may move a domain.
//
// Three kinds of keys, never mixed: the certificate authority's (names hosts),
// a host's (proves a name, signs its audit log), and a placement key (the control
// plane's: signs migration tickets). Digests are the 32 raw bytes of a SHA-256;
// a key's digest is over its SubjectPublicKeyInfo in DER form.
//
// Private keys are PKCS #8 PEM files with mode 0600, created exclusively, never
// overwritten; one that others may read, or that belongs to another user than us
// or root, is refused (`denied`). No message holds a byte of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"
#include "vmsec/service/authority.hpp"
#include "vmsec/types.hpp"

namespace vmsec {

namespace identity {
struct Access;  // the core's own way to the OpenSSL objects
}

using Clock = std::function<UnixSeconds()>;
VMSEC_EXPORT UnixSeconds system_now();

// 1 to 63 of a-z 0-9 - and inner dots; each part begins and ends with a letter
// or digit. It becomes a file name, a DNS name and a log field: hence so strict.
VMSEC_EXPORT Status check_host_name(std::string_view name);

enum class KeyType { ecdsa_p256, ed25519 };

// A public key, from a PEM file that holds one, or a certificate. Copies share it.
class VMSEC_EXPORT PublicKey {
 public:
  static Result<PublicKey> load(const std::filesystem::path& file);
  static Result<PublicKey> parse(std::string_view pem);
  [[nodiscard]] const std::string& digest() const;
  [[nodiscard]] std::string pem() const;
  // Over label, a zero byte, and the bytes. `tampered` where it does not fit.
  [[nodiscard]] Status verify(std::string_view label, std::string_view bytes, std::string_view signature) const;

 private:
  friend struct identity::Access;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// ---- the certificate authority ------------------------------------------------

struct AuthorityOptions {
  KeyType key = KeyType::ecdsa_p256;
  std::uint32_t days = 3650;
};

struct IssueOptions {
  std::uint32_t days = 365;       // 1 to 3650; it ends with the authority where that is sooner
  std::filesystem::path out_dir;  // made (mode 0700) where it is missing; empty: the current folder
  KeyType key = KeyType::ecdsa_p256;
};

struct IssuedFiles {
  std::filesystem::path certificate;  // <out>/<host>.crt
  std::filesystem::path key;          // <out>/<host>.key
  std::string serial;
};

struct IssuedCertificate {
  std::string serial;  // 32 hexadecimal digits, lower case
  std::string host;
  UnixSeconds not_before;
  UnixSeconds not_after;
  std::optional<UnixSeconds> revoked;
};

struct RevocationList {
  std::uint64_t number = 0;
  UnixSeconds next_update;  // from then on hosts refuse every peer
};

// A folder: ca.crt, ca.key, ca.crl, crl.number, issued/<serial>.crt and
// revoked/<serial>. Two processes may use it at once (a lock file orders them);
// so may threads. All that a call wrote is on the disk when it answers.
class VMSEC_EXPORT CertificateAuthority {
 public:
  // Creates the folder (mode 0700; its parents too) or fills an empty one; publishes
  // a first, empty revocation list. `already_exists` where there is an authority.
  static Result<CertificateAuthority> init(const std::filesystem::path& dir, std::string_view name,
                                           const AuthorityOptions& options = {}, Clock clock = system_now);
  static Result<CertificateAuthority> open(const std::filesystem::path& dir, Clock clock = system_now);

  // A key pair and its certificate. Files that are there already are never
  // replaced: `already_exists`. A host may have several certificates (renewal).
  // After an error nothing was issued.
  Result<IssuedFiles> issue(std::string_view host, const IssueOptions& options = {});

  // A serial, or a host name: then all of its certificates. Answers what it
  // revoked; `not_found` for neither, `wrong_state` where all are revoked
  // already. Hosts learn it with the next publish_crl().
  Result<std::vector<IssuedCertificate>> revoke(std::string_view serial_or_host);

  Result<std::vector<IssuedCertificate>> list() const;  // by host, then not_before

  // Signs a new list with the next number, valid for `lifetime_seconds` from now
  // (60 s to 1 year), replaces ca.crl as a whole, and answers the list's number.
  // The number is on the disk before the list is: it never falls, not by a crash.
  Result<std::uint64_t> publish_crl(std::uint64_t lifetime_seconds = 7UL * 24 * 3600);

  // The list that was published last.
  Result<RevocationList> revocations() const;

  [[nodiscard]] UnixSeconds not_after() const;
  [[nodiscard]] std::filesystem::path certificate_file() const;
  [[nodiscard]] std::filesystem::path crl_file() const;
  [[nodiscard]] const std::string& name() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// ---- placement keys -----------------------------------------------------------

// A ticket lives at most a day: so a host's memory of spent ones is bounded.
inline constexpr std::uint64_t kMaxTicketSeconds = 24UL * 3600;
// A ticket counts as begun this much early, for clocks that differ. Its end is sharp.
inline constexpr std::uint64_t kTicketSkewSeconds = 30;
inline constexpr std::size_t kMaxTicketBytes = 4096;
inline constexpr std::string_view kTicketLabel = "vmsec migration ticket v1";

// 128 random bits as 32 hexadecimal digits.
VMSEC_EXPORT Result<std::string> new_ticket_id();

// The control plane's. Any thread.
class VMSEC_EXPORT PlacementKey {
 public:
  // Writes the private key to `file`, and the public one to `file`.pub: that
  // goes to the hosts.
  static Result<PlacementKey> create(const std::filesystem::path& file, KeyType type = KeyType::ed25519);
  static Result<PlacementKey> open(const std::filesystem::path& file);

  // An encoded SignedTicket. Sets claims.placement_key, and claims.id where it is
  // empty. `invalid_argument` for claims that no host would accept.
  Result<std::string> sign(TicketClaims claims) const;

  [[nodiscard]] const PublicKey& public_key() const;
  // Writes the public key; replaces the file. For hosts' placement_keys.
  Status export_public(const std::filesystem::path& file) const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// ---- a host's identity ----------------------------------------------------------

struct HostFiles {
  std::filesystem::path authority;                    // ca.crt
  std::filesystem::path certificate;                  // <host>.crt
  std::filesystem::path key;                          // <host>.key
  std::filesystem::path crl;                          // ca.crl; may be replaced (by rename) at any time
  std::vector<std::filesystem::path> placement_keys;  // public keys
  std::filesystem::path state_dir;                    // exists; ours alone: the highest list number, spent tickets
  // This host's own of before a renewal; expired or revoked ones too.
  std::vector<std::filesystem::path> former_certificates = {};
};

// A host as its certificate says it, verified.
struct PeerIdentity {
  std::string name;
  std::string certificate_digest;  // SHA-256 of the DER form
  std::string key_digest;
  std::string serial;
  UnixSeconds not_after;
};

enum class TicketDirection { outgoing, incoming };  // outgoing: we are the source

struct TicketExpectation {
  Uuid domain;
  std::string configuration_digest;  // 32 bytes
  std::string peer;                  // verified by the channel
  std::string peer_key;              // 32 bytes: TlsConnection::peer_key_digest()
  TicketDirection direction = TicketDirection::incoming;
};

// Cheap to copy: copies share everything. All calls from any thread.
class VMSEC_EXPORT HostIdentity {
 public:
  // Reads and checks all files: our certificate must be the authority's, in time
  // (`expired`), and fit the key; no placement key may be our own key or the
  // authority's (`denied`); a former certificate must be the same authority's
  // (`unauthenticated`) and name this host (`denied`). The revocation list is not
  // looked at yet: it is read anew by every check, so that a replaced file counts
  // at once.
  static Result<HostIdentity> load(const HostFiles& files, Clock clock = system_now);

  [[nodiscard]] const std::string& name() const;
  [[nodiscard]] const std::string& key_digest() const;
  [[nodiscard]] const std::string& certificate_digest() const;
  [[nodiscard]] UnixSeconds not_after() const;
  [[nodiscard]] const PublicKey& public_key() const;
  [[nodiscard]] const std::vector<PublicKey>& former_keys() const;  // of the former certificates
  [[nodiscard]] const HostFiles& files() const;
  [[nodiscard]] UnixSeconds now() const;

  // A peer's certificates in DER form, its own first; only that one is looked at,
  // as hosts' certificates are signed by the authority itself.
  // `unauthenticated`: another authority, expired, revoked, not a host's
  // certificate; `expired`: the revocation list is stale or missing; `tampered`:
  // the list's signature is wrong, or its number is lower than one seen before.
  Result<PeerIdentity> verify_peer(const std::vector<std::string>& chain) const;

  // The revocation list alone: its number, and until when it is good. Same errors.
  struct CrlState {
    std::uint64_t number = 0;
    UnixSeconds next_update;
    std::size_t revoked = 0;
  };
  Result<CrlState> check_crl() const;

  // Everything about a ticket but whether it was spent. Errors as Authority's
  // (service/authority.hpp); one that is not valid yet is `denied`.
  Result<TicketClaims> verify_ticket(std::string_view ticket, const TicketExpectation& expected, UnixSeconds now) const;

  // With the host's key, over label, a zero byte, and the bytes. A label begins
  // with "vmsec " and is never the ticket's (`denied`): what a host signs can be
  // neither a TLS handshake nor a ticket.
  Result<std::string> sign(std::string_view label, std::string_view bytes) const;

 private:
  friend struct identity::Access;
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

// The ids of spent tickets: a file each in <state_dir>/spent. Across threads,
// processes and restarts exactly one spend of an id succeeds. Any thread.
class VMSEC_EXPORT SpentTickets {
 public:
  static Result<SpentTickets> open(const std::filesystem::path& state_dir);
  // On the disk (file and folder) when it answers. `denied`: spent before.
  // After another error it is spent or not; the ticket is lost either way.
  Status spend(const TicketClaims& claims) const;
  // Forgets ids whose ticket expired more than a margin (one day) before now:
  // a clock that is set back by less than it revives no ticket. How many.
  Result<std::size_t> prune(UnixSeconds now) const;

 private:
  std::filesystem::path dir_;
};

}  // namespace vmsec
