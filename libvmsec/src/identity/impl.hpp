// What is behind the public classes; for libvmsec's own folders.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "identity/openssl.hpp"
#include "vmsec/identity.hpp"

namespace vmsec {

// Untrusted text in a message: short, and without control characters.
inline std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 64)) out += c >= ' ' && c < 127 && c != '"' && c != '\\' ? c : '?';
  return out;
}

struct PublicKey::Impl {
  identity::KeyHandle key;
  std::string digest;
};

namespace identity {

// Which file a list was read from: another one, or one that was written to, differs.
struct CrlFile {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed = 0;
  std::int64_t changed_ns = 0;
  friend bool operator==(const CrlFile&, const CrlFile&) = default;
};

// The last revocation list that was verified.
struct CrlCache {
  std::mutex mutex;
  CrlFile file;
  CrlHandle crl;  // null: none
  std::uint64_t number = 0;
};

struct HostState {
  HostFiles files;
  Clock clock;
  identity::CertificateHandle authority;
  std::string authority_key;  // digest
  identity::CertificateHandle certificate;
  identity::KeyHandle key;
  PeerIdentity self;
  PublicKey public_key;
  std::vector<PublicKey> placement_keys;
  std::vector<PublicKey> former_keys;
  mutable CrlCache crl_cache;
};

// A revocation list that was checked: signature, number, time.
struct CheckedCrl {
  CrlHandle crl;
  HostIdentity::CrlState state;
};
Result<CheckedCrl> check_crl(const HostState& host, UnixSeconds now);

// Name, digests and times of a certificate whose form is a host's: one SAN that
// is its CN, both extended key usages, no CA. Its signature is another matter.
Result<PeerIdentity> describe(X509* certificate);

// Errors as HostIdentity::verify_peer. x509_error becomes OpenSSL's code, from
// which TLS picks its alert.
Result<PeerIdentity> verify_certificate(const HostState& host, X509* certificate, int& x509_error);

struct Access {
  static Result<PublicKey> public_key(KeyHandle key);
  static Result<PublicKey> public_half(EVP_PKEY* key);
  static const HostState& host(const HostIdentity& identity);
};

}  // namespace identity

struct HostIdentity::Impl : identity::HostState {};

inline const identity::HostState& identity::Access::host(const HostIdentity& identity) { return *identity.impl_; }

}  // namespace vmsec
