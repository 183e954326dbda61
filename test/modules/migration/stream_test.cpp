// Streams over a wire that somebody else holds.
#include "stream_testing.hpp"

using namespace vmsec;
using namespace vmsec::migration;
using namespace vmsec::migration::test;

namespace {

// A source whose records the test holds in its hand.
struct Tapped {
  End source{Side::source};
  End destination{Side::destination};
  Fd from_source, to_destination;

  Tapped() {
    SocketPair left, right;
    source.join(std::move(left.a), "one");
    destination.join(std::move(right.b), "one", ChannelKind::main, 0, Side::destination);
    from_source = std::move(left.b);
    to_destination = std::move(right.a);
  }
  std::string record() {
    std::string header = read_text(from_source, kHeaderSize);
    REQUIRE(header.size() == kHeaderSize);
    const auto parsed = read_header(std::span<const unsigned char, kHeaderSize>(
        reinterpret_cast<const unsigned char*>(header.data()), kHeaderSize));
    REQUIRE(parsed);
    return header + read_text(from_source, parsed->length + kTagSize);
  }
};

}  // namespace

TEST_CASE("bytes, half-closes and the end pass in both directions") {
  const auto suite = GENERATE(StreamSuite::bulk, StreamSuite::tls);
  SocketPair wire;
  End source(Side::source, suite), destination(Side::destination, suite);
  source.join(std::move(wire.a), "one");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  write_text(source.hypervisor, "to the destination");
  CHECK(read_text(destination.hypervisor, 18) == "to the destination");
  ::shutdown(source.hypervisor.get(), SHUT_WR);
  CHECK(read_text(destination.hypervisor, 1).empty());
  // The other direction lives on.
  write_text(destination.hypervisor, "and back");
  CHECK(read_text(source.hypervisor, 8) == "and back");
  ::shutdown(destination.hypervisor.get(), SHUT_WR);
  CHECK(read_text(source.hypervisor, 1).empty());
  const auto manifest = source.set.flush(soon());
  REQUIRE(manifest);
  CHECK(manifest->at(0).bytes.value == 18);
  CHECK(destination.set.verify(*manifest, soon()));
  CHECK_FALSE(source.set.failure());
  CHECK_FALSE(destination.set.failure());
}

TEST_CASE("a stream that stays open is flushed to a mark that both ends compute alike") {
  const auto suite = GENERATE(StreamSuite::bulk, StreamSuite::tls);
  SocketPair wire;
  End source(Side::source, suite), destination(Side::destination, suite);
  source.join(std::move(wire.a), "one");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  write_text(source.hypervisor, "all of the guest");
  const auto manifest = source.set.flush(soon());
  REQUIRE(manifest);
  CHECK(manifest->at(0).bytes.value == 16);
  CHECK(manifest->at(0).records >= 2);
  CHECK(destination.set.verify(*manifest, soon()));
  SECTION("and a manifest that says anything else is refused") {
    auto wrong = *manifest;
    wrong[0].bytes.value += 1;
    CHECK(destination.set.verify(wrong, soon()).error().code == Code::tampered);
    wrong = *manifest;
    wrong[0].records -= 1;
    CHECK(destination.set.verify(wrong, soon()).error().code == Code::tampered);
    wrong = *manifest;
    wrong[0].transcript[5] ^= 1;
    CHECK(destination.set.verify(wrong, soon()).error().code == Code::tampered);
    wrong = *manifest;
    wrong[0].index = 1;
    CHECK(destination.set.verify(wrong, soon()).error().code == Code::tampered);
    wrong = *manifest;
    wrong.push_back(wrong[0]);
    CHECK(destination.set.verify(wrong, soon()).error().code == Code::tampered);
    CHECK(destination.set.verify({}, soon()).error().code == Code::tampered);
  }
  SECTION("and what comes behind it is not delivered") {
    write_text(source.hypervisor, "more");
    CHECK(source.breaks(Code::internal));
  }
}

TEST_CASE("a manifest waits for what is still on its way") {
  const auto suite = GENERATE(StreamSuite::bulk, StreamSuite::tls);
  SocketPair wire;
  End source(Side::source, suite), destination(Side::destination, suite);
  source.join(std::move(wire.a), "one");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  const std::string guest(2'000'000, 'g');
  std::thread writer([&] { write_text(source.hypervisor, guest); });
  std::string got = read_text(destination.hypervisor, 1000);
  writer.join();
  const auto manifest = source.set.flush(soon());
  // The destination's hypervisor has not read it all yet, but it must have been handed over.
  std::thread reader([&] { got += read_text(destination.hypervisor, guest.size() - 1000); });
  CHECK(manifest);
  if (manifest) CHECK(destination.set.verify(*manifest, soon()));
  reader.join();
  CHECK(got == guest);
}

TEST_CASE("one flipped bit on the wire breaks the stream, and is not delivered") {
  Tapped tap;
  write_text(tap.source.hypervisor, "the guest");
  std::string record = tap.record();
  record[GENERATE(0, 4, 8, 20, 30)] ^= 1;
  ::send(tap.to_destination.get(), record.data(), record.size(), MSG_NOSIGNAL);
  ::shutdown(tap.to_destination.get(), SHUT_WR);
  const auto failed = [&] {
    for (int i = 0; i < 3000 && !tap.destination.set.failure(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return tap.destination.set.failure().has_value();
  };
  CHECK(failed());
  CHECK(read_text(tap.destination.hypervisor, 1).empty());
}

TEST_CASE("a replayed, a swapped and a foreign record break the stream") {
  Tapped tap;
  write_text(tap.source.hypervisor, "first");
  const std::string first = tap.record();
  write_text(tap.source.hypervisor, "second");
  const std::string second = tap.record();
  SECTION("replayed") {
    write_text(tap.to_destination, first);
    CHECK(read_text(tap.destination.hypervisor, 5) == "first");
    write_text(tap.to_destination, first);
  }
  SECTION("swapped") { write_text(tap.to_destination, second); }
  SECTION("of another stream of the same migration") {
    SocketPair other;
    End foreign(Side::source);
    foreign.join(std::move(other.a), "two", ChannelKind::bulk, 0);
    write_text(foreign.hypervisor, "first");
    const std::string record = read_text(other.b, kHeaderSize + 5 + kTagSize);
    write_text(tap.to_destination, record);
  }
  CHECK(tap.destination.breaks(Code::tampered));
  CHECK(read_text(tap.destination.hypervisor, 1).empty());
}

TEST_CASE("an end of the connection is not the end of the guest") {
  Tapped tap;
  write_text(tap.source.hypervisor, "half of it");
  const std::string record = tap.record();
  SECTION("between two records") { write_text(tap.to_destination, record); }
  SECTION("within a record") { write_text(tap.to_destination, record.substr(0, 20)); }
  SECTION("within a header") { write_text(tap.to_destination, record.substr(0, 3)); }
  SECTION("before the first byte") {}
  ::shutdown(tap.to_destination.get(), SHUT_WR);
  CHECK(tap.destination.breaks(Code::unavailable));
  CHECK_FALSE(tap.destination.set.verify({FlushPoint{ChannelKind::main, 0, {10}, 1, {}}}, soon()));
}

TEST_CASE("a mark from the wrong side breaks the stream") {
  SocketPair wire;
  End source(Side::source);
  source.join(std::move(wire.a), "one");
  auto sealer = RecordCodec::create(RecordCodec::Use::seal, {Cipher::aes_128_gcm, Accelerator::none},
                                    std::string(32, 'k') + "one-back");
  REQUIRE(sealer);
  std::string mark(kHeaderSize + kTagSize, '\0');
  REQUIRE(sealer->seal(RecordType::mark, {reinterpret_cast<unsigned char*>(mark.data()), mark.size()}));
  write_text(wire.b, mark);
  CHECK(source.breaks(Code::tampered));
}

TEST_CASE("a hypervisor that closes before it was handed everything breaks the stream") {
  const auto suite = GENERATE(StreamSuite::bulk, StreamSuite::tls);
  SocketPair wire;
  End source(Side::source, suite), destination(Side::destination, suite);
  source.join(std::move(wire.a), "one");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  destination.hypervisor.reset();
  const std::string guest(100'000, 'g');
  ::send(source.hypervisor.get(), guest.data(), guest.size(), MSG_NOSIGNAL);
  CHECK(destination.breaks(Code::io));
}

TEST_CASE("a migration without a stream that holds the guest has no manifest") {
  SocketPair wire;
  End source(Side::source);
  source.join(std::move(wire.a), "one", ChannelKind::control);
  CHECK_FALSE(source.set.flush(soon()));
}

TEST_CASE("totals count records and what was in them") {
  SocketPair wire;
  End source(Side::source), destination(Side::destination);
  source.join(std::move(wire.a), "one");
  destination.join(std::move(wire.b), "one", ChannelKind::main, 0, Side::destination);
  write_text(source.hypervisor, "0123456789");
  const auto manifest = source.set.flush(soon());
  REQUIRE(manifest);
  REQUIRE(destination.set.verify(*manifest, soon()));
  CHECK(source.set.totals().guest_bytes == 10);
  CHECK(source.set.totals().wire_bytes == 10 + 2 * (kHeaderSize + kTagSize));
  CHECK(destination.set.totals().guest_bytes == 10);
  CHECK(destination.set.totals().wire_bytes == source.set.totals().wire_bytes);
  source.set.stop();
  CHECK(source.set.totals().guest_bytes == 10);
  CHECK_FALSE(source.set.add(name_of(ChannelKind::bulk, 0), {Cipher::aes_128_gcm, Accelerator::none}, {}));
}
