// Building and signing the authority's X.509 objects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/openssl.hpp"

namespace vmsec::identity {

// Certificates and lists begin this much before they are made, for clocks that differ.
inline constexpr std::uint64_t kBackdateSeconds = 300;

struct Signer {
  X509* certificate;  // null: self-signed
  EVP_PKEY* key;
};

struct CertificateRequest {
  std::string_view name;  // CN; of hosts also the SAN
  EVP_PKEY* key;          // of the subject
  UnixSeconds not_before;
  UnixSeconds not_after;
};

Result<CertificateHandle> make_authority(const CertificateRequest& request);
Result<CertificateHandle> make_host(const CertificateRequest& request, const Signer& signer);

struct RevokedSerial {
  std::string serial;  // hexadecimal
  UnixSeconds when;
};

struct CrlRequest {
  std::uint64_t number;
  UnixSeconds this_update;
  UnixSeconds next_update;
  std::vector<RevokedSerial> revoked;
};

Result<std::string> make_crl_pem(const CrlRequest& request, const Signer& signer);

std::string serial_of(const X509* certificate);  // lower-case hexadecimal

}  // namespace vmsec::identity
