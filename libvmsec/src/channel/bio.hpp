// OpenSSL's way to a socket: never raises SIGPIPE, never reads ahead.
#pragma once

#include "identity/openssl.hpp"

namespace vmsec::channel {

// A BIO over a non-blocking socket, which it does not own.
Result<identity::BioHandle> socket_bio(int fd);

}  // namespace vmsec::channel
