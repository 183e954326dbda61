// The sealed record, and every way in which it must not open.
#include "record.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "accelerator/accelerator.hpp"

using namespace vmsec;
using namespace vmsec::migration;

namespace {

using Buffer = std::vector<unsigned char>;

Suite evp(Cipher cipher) { return {cipher, Accelerator::none}; }

RecordCodec codec(RecordCodec::Use use, Suite suite = evp(Cipher::aes_128_gcm),
                  std::string secret = std::string(32, 'k'), std::uint64_t per_key = kRecordsPerKey) {
  auto made = RecordCodec::create(use, suite, std::move(secret), per_key);
  REQUIRE(made);
  return std::move(*made);
}

Buffer sealed(RecordCodec& sealer, std::string_view payload, RecordType type = RecordType::data) {
  Buffer buffer(kHeaderSize + payload.size() + kTagSize);
  std::copy(payload.begin(), payload.end(), buffer.begin() + kHeaderSize);
  REQUIRE(sealer.seal(type, buffer));
  return buffer;
}

Result<std::string> opened(RecordCodec& opener, Buffer buffer) {
  VMSEC_TRY(const RecordHeader header, read_header(std::span<const unsigned char>(buffer).first<kHeaderSize>()));
  VMSEC_CHECK(opener.open(header, buffer));
  return std::string(buffer.begin() + kHeaderSize, buffer.end() - kTagSize);
}

const auto kCiphers = {Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none};

}  // namespace

TEST_CASE("what was sealed opens, in order") {
  const Cipher cipher = GENERATE(Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none);
  auto sealer = codec(RecordCodec::Use::seal, evp(cipher)), opener = codec(RecordCodec::Use::open, evp(cipher));
  for (const std::string text : {"one", "two", "three"}) CHECK(opened(opener, sealed(sealer, text)) == text);
  CHECK(opened(opener, sealed(sealer, "", RecordType::end)) == "");
  CHECK(opener.records() == 4);
  CHECK(*opener.digest() == *sealer.digest());
}

TEST_CASE("a ciphertext does not show its plaintext, cipher none does") {
  const std::string marker(64, 'M');
  for (const Cipher cipher : kCiphers) {
    auto sealer = codec(RecordCodec::Use::seal, evp(cipher));
    const Buffer buffer = sealed(sealer, marker);
    const bool found = std::search(buffer.begin(), buffer.end(), marker.begin(), marker.end()) != buffer.end();
    CHECK(found == (cipher == Cipher::none));
  }
}

TEST_CASE("a record in which any one bit is changed does not open") {
  const Cipher cipher = GENERATE(Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none);
  auto sealer = codec(RecordCodec::Use::seal, evp(cipher));
  const Buffer good = sealed(sealer, "the guest");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Buffer bad = good;
    bad[bit / 8] ^= static_cast<unsigned char>(1 << (bit % 8));
    auto opener = codec(RecordCodec::Use::open, evp(cipher));
    const auto result = opened(opener, bad);
    INFO("bit " << bit);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::tampered);
  }
}

TEST_CASE("of a record that does not open nothing is left") {
  std::vector<Suite> suites;
  for (const Cipher cipher : {Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none})
    suites.emplace_back(cipher, Accelerator::none);
  if (vaes_kernel())
    for (const Cipher cipher : {Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::none})
      suites.emplace_back(cipher, Accelerator::vaes);
  for (const Suite& suite : suites) {
    auto sealer = codec(RecordCodec::Use::seal, suite), opener = codec(RecordCodec::Use::open, suite);
    INFO(implementation_of(suite));
    Buffer record = sealed(sealer, "the guest");
    record.back() ^= 1;
    REQUIRE_FALSE(opener.open({9, RecordType::data, 0}, record));
    CHECK(std::all_of(record.begin() + kHeaderSize, record.end() - kTagSize, [](auto byte) { return byte == 0; }));
  }
}

TEST_CASE("a host with the accelerator and one without understand each other, either way") {
  if (!vaes_kernel()) {
    WARN("skipped: " << vaes_kernel().error().message);
    return;
  }
  const Cipher cipher = GENERATE(Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::chacha20_poly1305, Cipher::none);
  const Suite fast(cipher, Accelerator::vaes);
  const bool fast_seals = GENERATE(true, false);
  auto sealer = codec(RecordCodec::Use::seal, fast_seals ? fast : evp(cipher), std::string(32, 'k'), 3);
  auto opener = codec(RecordCodec::Use::open, fast_seals ? evp(cipher) : fast, std::string(32, 'k'), 3);
  for (std::size_t size = 1; size < 3000; size += size / 3 + 1) {
    const std::string text(size, static_cast<char>('a' + size % 26));
    CHECK(opened(opener, sealed(sealer, text)) == text);
  }
  CHECK(opened(opener, sealed(sealer, "", RecordType::end)) == "");
  CHECK(*opener.digest() == *sealer.digest());
}

TEST_CASE("a record of the accelerator in which any one bit is changed does not open") {
  if (!vaes_kernel()) {
    WARN("skipped: " << vaes_kernel().error().message);
    return;
  }
  const Suite fast(GENERATE(Cipher::aes_128_gcm, Cipher::aes_256_gcm, Cipher::none), Accelerator::vaes);
  auto sealer = codec(RecordCodec::Use::seal, fast);
  const Buffer good = sealed(sealer, std::string(70, 'g'));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    Buffer bad = good;
    bad[bit / 8] ^= static_cast<unsigned char>(1 << (bit % 8));
    auto opener = codec(RecordCodec::Use::open, fast);
    INFO("bit " << bit);
    const auto result = opened(opener, bad);
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::tampered);
  }
}

TEST_CASE("a record that comes twice, early or late does not open") {
  auto sealer = codec(RecordCodec::Use::seal), opener = codec(RecordCodec::Use::open);
  const Buffer first = sealed(sealer, "first"), second = sealed(sealer, "second");
  SECTION("replayed") {
    REQUIRE(opened(opener, first));
    CHECK(opened(opener, first).error().code == Code::tampered);
  }
  SECTION("reordered") { CHECK(opened(opener, second).error().code == Code::tampered); }
  SECTION("replayed under the next number") {
    REQUIRE(opened(opener, first));
    Buffer forged = first;
    forged[15] = 1;
    CHECK(opened(opener, forged).error().code == Code::tampered);
  }
}

TEST_CASE("after one bad record nothing opens any more") {
  auto sealer = codec(RecordCodec::Use::seal), opener = codec(RecordCodec::Use::open);
  const Buffer first = sealed(sealer, "first");
  Buffer bad = first;
  bad.back() ^= 1;
  REQUIRE_FALSE(opened(opener, bad));
  CHECK_FALSE(opened(opener, first));
}

TEST_CASE("a data record cannot pass for an end") {
  auto sealer = codec(RecordCodec::Use::seal), opener = codec(RecordCodec::Use::open);
  Buffer mark = sealed(sealer, "", RecordType::mark);
  mark[4] = static_cast<unsigned char>(RecordType::end);
  CHECK(opened(opener, mark).error().code == Code::tampered);
}

TEST_CASE("a record of another key, cipher or direction does not open") {
  const std::string secret(32, 's'), exporter(32, 'e'), nonce(32, 'n');
  const StreamName name{*random_uuid(), ChannelKind::bulk, 1, 3, std::string(32, 'm')};
  const auto derive = [&](const StreamName& stream, Direction direction, Cipher cipher, const std::string& from) {
    return *stream_secret(from, exporter, stream, nonce, direction, cipher);
  };
  const std::string right = derive(name, Direction::to_destination, Cipher::aes_256_gcm, secret);
  auto sealer = codec(RecordCodec::Use::seal, evp(Cipher::aes_256_gcm), right);
  const Buffer record = sealed(sealer, "the guest");
  const auto opens = [&](std::string key, Cipher cipher = Cipher::aes_256_gcm) {
    auto opener = codec(RecordCodec::Use::open, evp(cipher), std::move(key));
    return opened(opener, record).has_value();
  };
  CHECK(opens(right));
  StreamName other = name;
  other.index = 2;
  CHECK_FALSE(opens(derive(other, Direction::to_destination, Cipher::aes_256_gcm, secret)));
  other = name;
  other.kind = ChannelKind::main;
  CHECK_FALSE(opens(derive(other, Direction::to_destination, Cipher::aes_256_gcm, secret)));
  other = name;
  other.migration = *random_uuid();
  CHECK_FALSE(opens(derive(other, Direction::to_destination, Cipher::aes_256_gcm, secret)));
  other = name;
  other.source_nonce[0] ^= 1;
  CHECK_FALSE(opens(derive(other, Direction::to_destination, Cipher::aes_256_gcm, secret)));
  CHECK_FALSE(opens(derive(name, Direction::to_source, Cipher::aes_256_gcm, secret)));
  CHECK_FALSE(opens(derive(name, Direction::to_destination, Cipher::none, secret), Cipher::none));
  CHECK_FALSE(opens(derive(name, Direction::to_destination, Cipher::aes_256_gcm, std::string(32, 'x'))));
  CHECK_FALSE(
      opens(*stream_secret(secret, std::string(32, 'f'), name, nonce, Direction::to_destination, Cipher::aes_256_gcm)));
  CHECK_FALSE(opens(
      *stream_secret(secret, exporter, name, std::string(32, 'o'), Direction::to_destination, Cipher::aes_256_gcm)));
}

TEST_CASE("keys change after their number of records, at both ends alike") {
  auto sealer = codec(RecordCodec::Use::seal, evp(Cipher::aes_128_gcm), std::string(32, 'k'), 3);
  auto opener = codec(RecordCodec::Use::open, evp(Cipher::aes_128_gcm), std::string(32, 'k'), 3);
  auto stuck = codec(RecordCodec::Use::open, evp(Cipher::aes_128_gcm), std::string(32, 'k'), 1000);
  for (int i = 0; i < 10; ++i) {
    const Buffer record = sealed(sealer, "record " + std::to_string(i));
    CHECK(opened(opener, record));
    CHECK(opened(stuck, record).has_value() == (i < 3));
  }
}

TEST_CASE("a header beyond the limits is refused before anything is read") {
  Buffer header(kHeaderSize);
  const auto read = [&] { return read_header(std::span<const unsigned char>(header).first<kHeaderSize>()); };
  write_header({kMaximumPayload, RecordType::data, 7}, std::span<unsigned char>(header).first<kHeaderSize>());
  CHECK(read()->sequence == 7);
  write_header({kMaximumPayload + 1, RecordType::data, 0}, std::span<unsigned char>(header).first<kHeaderSize>());
  CHECK(read().error().code == Code::tampered);
  write_header({0, RecordType::data, 0}, std::span<unsigned char>(header).first<kHeaderSize>());
  CHECK_FALSE(read());
  write_header({1, RecordType::end, 0}, std::span<unsigned char>(header).first<kHeaderSize>());
  CHECK_FALSE(read());
  write_header({1, static_cast<RecordType>(9), 0}, std::span<unsigned char>(header).first<kHeaderSize>());
  CHECK_FALSE(read());
}

TEST_CASE("a proof of possession holds for one stream of one migration only") {
  const std::string secret(32, 's');
  const StreamName name{*random_uuid(), ChannelKind::main, 0, 2, std::string(32, 'n')};
  const std::string proof = *join_proof(secret, name);
  CHECK(proof.size() == kProofSize);
  CHECK(*join_proof(secret, name) == proof);
  StreamName other = name;
  other.ordinal = 3;
  CHECK(*join_proof(secret, other) != proof);
  CHECK(*join_proof(std::string(32, 't'), name) != proof);
}

TEST_CASE("policy is no cipher of a stream") {
  CHECK_FALSE(RecordCodec::create(RecordCodec::Use::seal, evp(Cipher::policy), std::string(32, 'k')));
  CHECK_FALSE(RecordCodec::create(RecordCodec::Use::seal, evp(static_cast<Cipher>(17)), std::string(32, 'k')));
}
