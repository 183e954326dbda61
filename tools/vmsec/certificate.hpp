// What the tool itself needs of OpenSSL: a digest, and the host's name in a certificate.
#pragma once

#include <string>
#include <string_view>

#include "vmsec/identity.hpp"

namespace vmsec::cli {

Result<std::string> sha256(std::string_view bytes);  // 32 bytes

// A host as its certificate file names it. Nothing is verified: the hosts do that.
struct NamedKey {
  std::string name;
  PublicKey key;
};
Result<NamedKey> read_host_certificate(const std::string& file);

}  // namespace vmsec::cli
