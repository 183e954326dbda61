// The one place where certificates are verified.
#pragma once

#include "identity/openssl.hpp"

namespace vmsec::identity {

// OpenSSL's verdict (X509_V_OK or an error) on a certificate that the authority
// signed itself; the revocation list is consulted where there is one.
Result<int> verify_chain(X509* authority, X509* certificate, X509_CRL* crl, UnixSeconds now);

// What an operator reads about that verdict: "revoked", "expired", ...
std::string explain(int x509_error);

}  // namespace vmsec::identity
