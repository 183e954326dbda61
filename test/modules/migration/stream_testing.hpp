// One end of a stream, with its hypervisor's side and its wire in the test's hand.
#pragma once

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <string>

#include "stream_set.hpp"

namespace vmsec::migration::test {

struct SocketPair {
  Fd a, b;
  SocketPair() {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    a.reset(pair[0]);
    b.reset(pair[1]);
  }
};

inline void write_text(const Fd& fd, std::string_view text) {
  REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

// To a stream that may have broken already.
inline void offer_text(const Fd& fd, std::string_view text) {
  std::ignore = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

inline std::string read_text(const Fd& fd, std::size_t size) {
  std::string out(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count = ::recv(fd.get(), out.data() + have, size - have, 0);
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  out.resize(have);
  return out;
}

inline Clock::time_point soon() { return Clock::now() + std::chrono::seconds(30); }

inline StreamName name_of(ChannelKind kind, std::uint32_t index, StreamSuite suite = StreamSuite::bulk) {
  return {{}, kind, index, index + 1, std::string(32, 'n'), suite};
}

// One end of a stream in a set of its own, and the hypervisor's side of it.
struct End {
  StreamSet set;
  Fd hypervisor;
  const StreamSuite suite;
  Cipher cipher = Cipher::aes_128_gcm;
  explicit End(Side side, StreamSuite of = StreamSuite::bulk) : set(side), suite(of) {}

  void join(Fd wire, const std::string& key, ChannelKind kind = ChannelKind::main, std::uint32_t index = 0,
            Side side = Side::source) {
    SocketPair channel;
    hypervisor = std::move(channel.b);
    const std::string out = key + (side == Side::source ? "-out" : "-back"),
                      in = key + (side == Side::source ? "-back" : "-out");
    REQUIRE(set.add(name_of(kind, index, suite), {cipher, Accelerator::none},
                    {std::move(channel.a), std::move(wire), std::string(32, 'k') + out, std::string(32, 'k') + in}));
  }
  bool breaks(Code code) {
    for (int i = 0; i < 3000 && !set.failure(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const auto failure = set.failure();
    if (!failure) return false;
    INFO(failure->message);
    CHECK(failure->code == code);
    return failure->code == code;
  }
};

}  // namespace vmsec::migration::test
