// The suite `tls`: what it carries, and what breaks it.
#include <openssl/x509.h>

#include <csignal>
#include <future>
#include <set>

#include "tls_layer.hpp"
#include "tls_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

using Records = std::vector<std::string>;

std::string guest_of(std::size_t size) {
  std::string guest(size, '\0');
  std::uint32_t seed = 7;
  for (char& byte : guest) byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return guest;
}

// Both ends of a layer over one socket pair.
struct Layers {
  SocketPair wire;
  std::unique_ptr<TlsLayer> client, server;

  explicit Layers(Cipher cipher = Cipher::aes_128_gcm, std::uint64_t bytes_per_key = kBytesPerTlsKey,
                  TlsPsk client_psk = psk(), TlsPsk server_psk = psk()) {
    client = make(TlsRole::client, cipher, std::move(client_psk), wire.a, bytes_per_key);
    server = make(TlsRole::server, cipher, std::move(server_psk), wire.b, bytes_per_key);
  }
  static std::unique_ptr<TlsLayer> make(TlsRole role, Cipher cipher, TlsPsk psk, const Fd& socket,
                                        std::uint64_t bytes_per_key = kBytesPerTlsKey) {
    auto layer = TlsLayer::create(role, cipher, std::move(psk), socket.get(), bytes_per_key);
    REQUIRE(layer);
    return std::move(*layer);
  }
  static TlsPsk psk() { return {"identity", std::string(32, 'k')}; }

  // The client's word, then the server's.
  std::pair<Status, Status> begin() {
    auto other = std::async(std::launch::async, [&] {
      Status status = server->begin();
      if (!status) ::shutdown(wire.b.get(), SHUT_RDWR);
      return status;
    });
    Status status = client->begin();
    if (!status) ::shutdown(wire.a.get(), SHUT_RDWR);
    return {std::move(status), other.get()};
  }
};

Result<std::size_t> send_payload(TlsLayer& layer, std::string_view payload, RecordType type = RecordType::data) {
  std::vector<unsigned char> buffer(kHeaderSize + payload.size() + kTagSize);
  std::copy(payload.begin(), payload.end(), buffer.begin() + kHeaderSize);
  return layer.write(type, buffer);
}

// OpenSSL's own sockets raise it.
class WithoutSigpipe {
 public:
  WithoutSigpipe() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
  ~WithoutSigpipe() { std::ignore = std::signal(SIGPIPE, before_); }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  void (*before_)(int);
};

constexpr std::size_t kMostUpdates = 200'000;

// A client that updates its keys until it is heard no more: how often it did, and what the server's read came to.
std::pair<std::size_t, Status> update_keys_without_end(int kind) {
  const WithoutSigpipe no_signal;
  SocketPair wire;
  const auto server = Layers::make(TlsRole::server, Cipher::aes_128_gcm, Layers::psk(), wire.b);
  const TlsCipherSuite& suite = *tls_cipher_suite(Cipher::aes_128_gcm);
  TlsOffer offer{Layers::psk(), &suite};
  const auto context = make_tls_context(TlsRole::client, suite);
  REQUIRE(context);
  const Ssl client(SSL_new(context->get()));
  REQUIRE(SSL_set_fd(client.get(), wire.a.get()) == 1);
  SSL_set_app_data(client.get(), &offer);
  auto other = std::async(std::launch::async, [&]() -> Status {
    VMSEC_CHECK(server->begin());
    const auto record = server->read();
    ::shutdown(wire.b.get(), SHUT_RDWR);
    return record ? Status{} : Status(fail(record.error()));
  });
  REQUIRE(SSL_connect(client.get()) == 1);
  std::size_t updates = 0;
  while (updates < kMostUpdates && SSL_key_update(client.get(), kind) == 1 && SSL_do_handshake(client.get()) == 1)
    ++updates;
  ERR_clear_error();
  return {updates, other.get()};
}

std::string text_of(const RecordLayer::Record& record) {
  return {reinterpret_cast<const char*>(record.payload.data()), record.payload.size()};
}

}  // namespace

TEST_CASE("suite tls carries a guest with each cipher, and both ends compute one manifest") {
  const auto cipher = GENERATE(Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305);
  SocketPair wire;
  End source(Side::source, StreamSuite::tls), destination(Side::destination, StreamSuite::tls);
  source.cipher = destination.cipher = cipher;
  source.join(std::move(wire.a), "one");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  const std::string guest = guest_of(2'000'000);
  std::thread writer([&] { write_text(source.hypervisor, guest); });
  const std::string got = read_text(destination.hypervisor, guest.size());
  writer.join();
  CHECK(got == guest);
  const auto manifest = source.set.flush(soon());
  REQUIRE(manifest);
  CHECK(manifest->at(0).bytes.value == guest.size());
  CHECK(manifest->at(0).transcript.size() == kDigestSize);
  CHECK(destination.set.verify(*manifest, soon()));
  CHECK(source.set.totals().wire_bytes > guest.size());
  CHECK(destination.set.totals().wire_bytes == source.set.totals().wire_bytes);
  CHECK_FALSE(source.set.failure());
  CHECK_FALSE(destination.set.failure());
}

TEST_CASE("two streams that carry the same bytes have different transcripts") {
  std::set<std::string> transcripts;
  for (int i = 0; i < 2; ++i) {
    SocketPair wire;
    End source(Side::source, StreamSuite::tls), destination(Side::destination, StreamSuite::tls);
    source.join(std::move(wire.a), "one");
    destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
    write_text(source.hypervisor, "the guest");
    CHECK(read_text(destination.hypervisor, 9) == "the guest");
    const auto manifest = source.set.flush(soon());
    REQUIRE(manifest);
    transcripts.insert(manifest->at(0).transcript);
  }
  CHECK(transcripts.size() == 2);
}

TEST_CASE("a TLS record that is changed, dropped, replayed or out of order breaks the stream") {
  End source(Side::source, StreamSuite::tls), destination(Side::destination, StreamSuite::tls);
  std::string held;
  TlsTap::Change change;
  SECTION("one bit of its data") {
    change = [](std::size_t number, std::string record) -> std::optional<Records> {
      if (number == 1) record[20] ^= 1;
      return Records{record};
    };
  }
  SECTION("one bit of its tag") {
    change = [](std::size_t number, std::string record) -> std::optional<Records> {
      if (number == 1) record.back() ^= 1;
      return Records{record};
    };
  }
  SECTION("dropped") {
    change = [](std::size_t number, const std::string& record) -> std::optional<Records> {
      return number == 1 ? Records{} : Records{record};
    };
  }
  SECTION("replayed") {
    change = [](std::size_t number, const std::string& record) -> std::optional<Records> {
      return number == 1 ? Records{record, record} : Records{record};
    };
  }
  SECTION("the next one first") {
    change = [&](std::size_t number, const std::string& record) -> std::optional<Records> {
      if (number == 1) held = record;
      if (number == 1) return Records{};
      return number == 2 ? Records{record, held} : Records{record};
    };
  }
  SECTION("one that the other side has sent long ago, or somebody else") {
    change = [](std::size_t number, const std::string& record) -> std::optional<Records> {
      std::string other = record;
      std::fill(other.begin() + 5, other.end(), 'x');
      return number == 1 ? Records{other} : Records{record};
    };
  }
  const TlsTap tap(source, destination, change);
  const std::string guest = guest_of(100'000);
  write_text(source.hypervisor, guest);
  CHECK(destination.breaks(Code::tampered));
  // What came before it may have been handed over, and nothing of it or behind it.
  CHECK(guest.starts_with(read_text(destination.hypervisor, guest.size())));
  CHECK_FALSE(destination.set.verify({FlushPoint{ChannelKind::main, 0, {100'000}, 1, {}}}, soon()));
}

TEST_CASE("another stream's records break a stream") {
  End other_source(Side::source, StreamSuite::tls), other_destination(Side::destination, StreamSuite::tls);
  std::promise<std::string> taken;
  std::atomic<bool> once = false;
  const TlsTap other(other_source, other_destination,
                     [&](std::size_t, const std::string& record) -> std::optional<Records> {
                       if (!once.exchange(true)) taken.set_value(record);
                       return Records{record};
                     });
  write_text(other_source.hypervisor, "the guest");
  const std::string foreign = taken.get_future().get();
  End source(Side::source, StreamSuite::tls), destination(Side::destination, StreamSuite::tls);
  const TlsTap tap(source, destination,
                   [&](std::size_t, const std::string&) -> std::optional<Records> { return Records{foreign}; });
  write_text(source.hypervisor, "the guest");
  CHECK(destination.breaks(Code::tampered));
  CHECK(read_text(destination.hypervisor, 1).empty());
}

TEST_CASE("with suite tls the end of the connection is not the end of the guest") {
  End source(Side::source, StreamSuite::tls), destination(Side::destination, StreamSuite::tls);
  // Three records: the guest, `end`, TLS's own goodbye.
  const std::size_t whole = GENERATE(0U, 1U, 2U);
  const TlsTap tap(source, destination,
                   [whole](std::size_t number, const std::string& record) -> std::optional<Records> {
                     if (number >= whole) return std::nullopt;
                     return Records{record};
                   });
  offer_text(source.hypervisor, "half of it");
  ::shutdown(source.hypervisor.get(), SHUT_WR);
  CHECK(destination.breaks(Code::unavailable));
  CHECK_FALSE(destination.set.verify({FlushPoint{ChannelKind::main, 0, {10}, 1, {}}}, soon()));
}

TEST_CASE("an end within a TLS record breaks the stream") {
  End source(Side::source, StreamSuite::tls), destination(Side::destination, StreamSuite::tls);
  const TlsTap tap(source, destination, [](std::size_t number, const std::string& record) -> std::optional<Records> {
    if (number > 0) return std::nullopt;
    return Records{record.substr(0, record.size() / 2)};
  });
  write_text(source.hypervisor, "half of it");
  ::shutdown(source.hypervisor.get(), SHUT_WR);
  CHECK(destination.breaks(Code::unavailable));
  CHECK(read_text(destination.hypervisor, 1).empty());
}

TEST_CASE("a stream whose other end has other keys, or another suite, breaks before a byte moves") {
  SocketPair wire;
  const auto suite = GENERATE(StreamSuite::bulk, StreamSuite::tls);
  End source(Side::source, suite), destination(Side::destination, StreamSuite::tls);
  source.join(std::move(wire.a), suite == StreamSuite::bulk ? "one" : "another");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  offer_text(source.hypervisor, "the guest");
  CHECK(destination.breaks(Code::unauthenticated));
  CHECK(read_text(destination.hypervisor, 1).empty());
  if (suite == StreamSuite::tls) CHECK(source.set.totals().guest_bytes == 0);
}

TEST_CASE("a handshake needs the same key, identity and cipher suite at both ends") {
  const TlsPsk good = Layers::psk();
  SECTION("another key") {
    Layers layers(Cipher::aes_128_gcm, kBytesPerTlsKey, good, {good.identity, std::string(32, 'x')});
    const auto [client, server] = layers.begin();
    CHECK(client.error().code == Code::unauthenticated);
    CHECK(server.error().code == Code::unauthenticated);
  }
  SECTION("another identity") {
    Layers layers(Cipher::aes_128_gcm, kBytesPerTlsKey, good, {"another's", good.key});
    const auto [client, server] = layers.begin();
    CHECK(client.error().code == Code::unauthenticated);
    CHECK(server.error().code == Code::unauthenticated);
  }
  SECTION("another cipher suite") {
    Layers layers;
    layers.server = Layers::make(TlsRole::server, Cipher::chacha20_poly1305, good, layers.wire.b);
    const auto [client, server] = layers.begin();
    CHECK(client.error().code == Code::unauthenticated);
    CHECK(server.error().code == Code::unauthenticated);
  }
  SECTION("the same of each") {
    Layers layers;
    const auto [client, server] = layers.begin();
    CHECK(client);
    CHECK(server);
  }
}

TEST_CASE("a server that shows a certificate in place of the key is refused") {
  const WithoutSigpipe no_signal;
  SocketPair wire;
  const auto client = Layers::make(TlsRole::client, Cipher::aes_128_gcm, Layers::psk(), wire.a);
  const std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, Deleter<X509_free>> certificate(X509_new());
  REQUIRE((key && certificate));
  REQUIRE(X509_set_version(certificate.get(), 2) == 1);
  REQUIRE(X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0) != nullptr);
  REQUIRE(X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600) != nullptr);
  REQUIRE(X509_set_pubkey(certificate.get(), key.get()) == 1);
  REQUIRE(X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0);
  const SslContext context(SSL_CTX_new(TLS_server_method()));
  REQUIRE(SSL_CTX_use_certificate(context.get(), certificate.get()) == 1);
  REQUIRE(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
  const Ssl server(SSL_new(context.get()));
  REQUIRE(SSL_set_fd(server.get(), wire.b.get()) == 1);
  auto other = std::async(std::launch::async, [&] {
    const int accepted = SSL_accept(server.get());
    ERR_clear_error();
    return accepted;
  });
  const Status status = client->begin();
  ::shutdown(wire.a.get(), SHUT_RDWR);
  CHECK(other.get() != 1);
  REQUIRE_FALSE(status);
  CHECK(status.error().code == Code::unauthenticated);
}

TEST_CASE("TLS keys are renewed on the way, in each direction, long before their limits") {
  static_assert(kBytesPerTlsKey / 16384 <= std::uint64_t{1} << 22);
  Layers layers(Cipher::aes_128_gcm, 100'000);
  const auto [client, server] = layers.begin();
  REQUIRE(client);
  REQUIRE(server);
  const std::string guest = guest_of(40'000);
  for (int i = 0; i < 20; ++i) {
    REQUIRE(send_payload(*layers.client, guest));
    auto there = layers.server->read();
    REQUIRE(there);
    CHECK(text_of(*there) == guest);
    REQUIRE(send_payload(*layers.server, guest));
    auto back = layers.client->read();
    REQUIRE(back);
    CHECK(text_of(*back) == guest);
  }
  CHECK(layers.client->key_updates() >= 6);
  CHECK(layers.server->key_updates() >= 6);
  CHECK(layers.client->written()->transcript == layers.server->received()->transcript);
  CHECK(layers.client->received()->records == 20);
}

TEST_CASE("a peer that asks for new keys without end does not make this side keep ever more") {
  const auto [asked, read] = update_keys_without_end(SSL_KEY_UPDATE_REQUESTED);
  CHECK(asked < kMostUpdates);
  CHECK_FALSE(read);
}

TEST_CASE("a peer that renews its keys without end, and sends nothing, is not read for ever") {
  const auto [renewed, read] = update_keys_without_end(SSL_KEY_UPDATE_NOT_REQUESTED);
  CHECK(renewed < kMostUpdates);
  REQUIRE_FALSE(read);
  CHECK(read.error().code == Code::tampered);
  CHECK(read.error().message.find("more messages") != std::string::npos);
}

TEST_CASE("who sent what could not be opened hears of it, also from a side that writes nothing itself") {
  Layers layers;
  const auto [client, server] = layers.begin();
  REQUIRE(client);
  REQUIRE(server);
  std::string record(std::size_t{5} + 64, '\x5a');
  record.replace(0, 5, std::string("\x17\x03\x03\x00\x40", 5));  // of encrypted data, 64 bytes
  write_text(layers.wire.a, record);
  CHECK(layers.server->read().error().code == Code::tampered);
  const auto heard = layers.client->read();
  REQUIRE_FALSE(heard);
  CHECK(heard.error().message.find("the other host ended TLS") != std::string::npos);
}

TEST_CASE("behind the end there is nothing: neither another frame nor a bare goodbye before it") {
  Layers layers;
  const auto [client, server] = layers.begin();
  REQUIRE(client);
  REQUIRE(server);
  SECTION("a frame behind it") {
    REQUIRE(send_payload(*layers.client, {}, RecordType::end));
    REQUIRE(send_payload(*layers.client, "more"));
    const auto end = layers.server->read();
    REQUIRE(end);
    CHECK(end->type == RecordType::end);
    CHECK(layers.server->end_reading().error().code == Code::tampered);
  }
  SECTION("a goodbye without it") {
    REQUIRE(layers.client->end_writing());
    CHECK(layers.server->read().error().code == Code::tampered);
  }
  SECTION("the end and the goodbye") {
    REQUIRE(send_payload(*layers.client, {}, RecordType::end));
    REQUIRE(layers.client->end_writing());
    REQUIRE(layers.server->read());
    CHECK(layers.server->end_reading());
    // The other direction lives on.
    REQUIRE(send_payload(*layers.server, "and back"));
    const auto back = layers.client->read();
    REQUIRE(back);
    CHECK(text_of(*back) == "and back");
  }
}

TEST_CASE("suite tls has no cipher none, and says so") {
  CHECK(check_suite(StreamSuite::tls, Cipher::aes_256_gcm));
  CHECK(check_suite(StreamSuite::bulk, Cipher::none));
  CHECK(check_suite(StreamSuite::tls, Cipher::none).error().message.find("cipher none and suite tls") == 0);
  CHECK_FALSE(check_suite(StreamSuite::unknown, Cipher::aes_128_gcm));
  CHECK(implementation_of(StreamSuite::tls, {Cipher::aes_128_gcm, Accelerator::none})
            .starts_with("TLS_AES_128_GCM_SHA256 by OpenSSL 3"));
}

TEST_CASE("a stream's TLS key is another for each of what it is derived from") {
  const std::string secret(32, 's'), exporter(32, 'e');
  std::set<std::string> keys;
  const auto add = [&](const StreamName& name, std::string_view nonce, Cipher cipher) {
    const auto forth = stream_secret(secret, exporter, name, nonce, Direction::to_destination, cipher);
    const auto back = stream_secret(secret, exporter, name, nonce, Direction::to_source, cipher);
    REQUIRE((forth && back));
    const auto psk = tls_psk(*forth, *back);
    REQUIRE(psk);
    CHECK(psk->key.size() == kSecretSize);
    CHECK(psk->key != *forth);
    CHECK(psk->identity != psk->key.substr(0, psk->identity.size()));
    keys.insert(psk->key);
    keys.insert(tls_psk(*back, *forth)->key);
  };
  StreamName name = name_of(ChannelKind::bulk, 1, StreamSuite::tls);
  add(name, "nonce", Cipher::aes_128_gcm);
  add(name, "other", Cipher::aes_128_gcm);
  add(name, "nonce", Cipher::aes_256_gcm);
  name.index = 2;
  add(name, "nonce", Cipher::aes_128_gcm);
  name.suite = StreamSuite::bulk;
  add(name, "nonce", Cipher::aes_128_gcm);
  CHECK(keys.size() == 10);
}
