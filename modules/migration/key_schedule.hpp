// Where a migration's keys come from (docs/migration-protocol.md, "Keys").
//
// The source draws one secret per migration and sends it inside PREPARE, over
// the authenticated control connection. A stream's keys need both that secret
// and the exporter values of the stream's own TLS handshake: whoever lacks
// either can neither read nor write a record.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "stream_suite.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/service/migrator.hpp"

namespace vmsec::migration {

inline constexpr std::size_t kSecretSize = 32;
inline constexpr std::size_t kNonceSize = 32;  // of the handshakes, not of the AEAD
inline constexpr std::size_t kProofSize = 32;
inline constexpr std::size_t kDigestSize = 32;

Result<std::string> random_bytes(std::size_t count);
Result<Uuid> random_uuid();
Result<std::string> sha256(std::string_view bytes);
// In constant time.
bool equal_secrets(std::string_view a, std::string_view b);
void wipe(std::string& secret);

// What a stream is, as both ends know it.
struct StreamName {
  Uuid migration;
  ChannelKind kind = ChannelKind::unknown;
  std::uint32_t index = 0;
  std::uint32_t ordinal = 0;  // the first stream of a migration is 1
  std::string source_nonce;
  StreamSuite suite = StreamSuite::bulk;  // as PREPARE agreed on it
};

// "main/0"
std::string to_string(const StreamName& name);

// Proves possession of the migration's secret: HMAC-SHA-256 over a label and the name.
Result<std::string> join_proof(std::string_view migration_secret, const StreamName& name);

enum class Direction : std::uint8_t { to_destination = 0, to_source = 1 };

// The secret from which one direction's keys grow (HKDF-SHA-256, RFC 5869).
Result<std::string> stream_secret(std::string_view migration_secret, std::string_view exporter_secret,
                                  const StreamName& name, std::string_view destination_nonce, Direction direction,
                                  Cipher cipher);

// The external PSK of a stream's own TLS handshake (suite `tls`), from the stream secrets of both directions. The
// identity goes over the network in the clear: it tells nobody anything.
struct TlsPsk {
  std::string identity;
  std::string key;
};
Result<TlsPsk> tls_psk(std::string_view to_destination, std::string_view to_source);

// One epoch's key and nonce base, and the secret of the next epoch.
struct EpochKeys {
  std::string key;
  std::array<unsigned char, 12> nonce{};
  std::string next_secret;
};
Result<EpochKeys> epoch_keys(std::string_view secret, std::size_t key_size);

}  // namespace vmsec::migration
