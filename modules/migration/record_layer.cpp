#include "record_layer.hpp"

#include <openssl/crypto.h>
#include <sys/socket.h>

#include <cerrno>

#include "bulk_layer.hpp"
#include "tls_layer.hpp"

namespace vmsec::migration {

Result<std::unique_ptr<RecordLayer>> make_record_layer(const StreamName& name, Side side, Suite suite, int socket,
                                                       std::string seal_secret, std::string open_secret) {
  VMSEC_CHECK(check_suite(name.suite, suite.cipher));
  if (name.suite == StreamSuite::bulk)
    return BulkLayer::create(suite, socket, std::move(seal_secret), std::move(open_secret));
  const bool source = side == Side::source;
  auto psk = tls_psk(source ? seal_secret : open_secret, source ? open_secret : seal_secret);
  wipe(seal_secret);
  wipe(open_secret);
  if (!psk) return fail(psk.error());
  return TlsLayer::create(source ? TlsRole::client : TlsRole::server, suite.cipher, std::move(*psk), socket);
}

Status check_suite(StreamSuite suite, Cipher cipher) {
  if (suite != StreamSuite::bulk && suite != StreamSuite::tls)
    return fail(Code::invalid_argument, "an unknown suite for streams");
  if (suite == StreamSuite::tls && tls_cipher_suite(cipher) == nullptr)
    return fail(Code::invalid_argument,
                "cipher " + std::string(to_string(cipher)) + " and suite tls: TLS 1.3 has no such cipher suite");
  return {};
}

std::string implementation_of(StreamSuite stream_suite, Suite suite) {
  if (stream_suite != StreamSuite::tls) return implementation_of(suite);
  const TlsCipherSuite* found = tls_cipher_suite(suite.cipher);
  if (found == nullptr) return "unknown";
  return std::string(found->name) + " by OpenSSL " + OpenSSL_version(OPENSSL_VERSION_STRING) + ", suite tls";
}

Status write_all(int socket, std::span<const unsigned char> bytes, std::string_view operation, Code code) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(errno_error(operation, errno, code));
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

}  // namespace vmsec::migration
