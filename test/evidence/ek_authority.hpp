// A manufacturer of TPMs in this process: a root, authorities below it, and
// certificates of endorsement keys, good and bad.
#pragma once

#include <functional>
#include <string>

#include "evidence/openssl_handles.hpp"
#include "evidence/tpm_public.hpp"

namespace vmsec::boot::test {

// What a certificate says beyond subject, key and dates.
using Extensions = std::function<void(X509*)>;

void add_extension(X509* certificate, int nid, const std::string& value);
// By its DER, for what OpenSSL has no words for.
void add_raw_extension(X509* certificate, int nid, const std::string& der);

class EkAuthority {
 public:
  static EkAuthority root(const std::string& name);
  EkAuthority below(const std::string& name) const;

  // A certificate of that key, valid for an hour, unless `days` say another end. DER.
  std::string certify(const TpmPublic& key, const Extensions& extensions, int days = 1) const;
  std::string certify(const TpmPublic& key, int days = 1) const;
  [[nodiscard]] std::string der() const;
  [[nodiscard]] std::string pem() const;

 private:
  EkAuthority(PkeyPtr key, X509Ptr certificate) : key_(std::move(key)), certificate_(std::move(certificate)) {}

  PkeyPtr key_;
  X509Ptr certificate_;
};

// As the EK Credential Profile has them.
void usual_extensions(X509* certificate);

}  // namespace vmsec::boot::test
