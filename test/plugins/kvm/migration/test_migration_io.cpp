#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "migration_io.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("a link's other side waits as long as it has not hung up, in whole or by half") {
  auto pair = socket_pair();
  REQUIRE(pair);
  REQUIRE(set_nonblocking(pair->first));
  RpcLink link(std::move(pair->first));
  CHECK(link.waits());
  SECTION("it is gone") { pair->second.reset(); }
  SECTION("it says no more") { REQUIRE(::shutdown(pair->second.get(), SHUT_WR) == 0); }
  SECTION("what was sent is stuck here") { link.send(std::string(std::size_t{4} << 20, 'x')); }
  SECTION("it was closed here") { link.close(); }
  CHECK_FALSE(link.waits());
  CHECK_FALSE(link.taken_within(std::chrono::milliseconds(1)));
}

TEST_CASE("what was sent counts as taken when it was read, and by one who is still there") {
  auto pair = socket_pair();
  REQUIRE(pair);
  REQUIRE(set_nonblocking(pair->first));
  RpcLink link(std::move(pair->first));
  link.send("answer");
  CHECK_FALSE(link.taken_within(std::chrono::milliseconds(1)));
  char bytes[6];
  SECTION("read") {
    REQUIRE(::recv(pair->second.get(), bytes, sizeof bytes, 0) == 6);
    CHECK(link.taken_within(std::chrono::seconds(60)));
  }
  SECTION("read in part") {
    REQUIRE(::recv(pair->second.get(), bytes, 3, 0) == 3);
    CHECK_FALSE(link.taken_within(std::chrono::milliseconds(1)));
  }
  SECTION("read by one who is gone") {
    REQUIRE(::recv(pair->second.get(), bytes, sizeof bytes, 0) == 6);
    pair->second.reset();
    CHECK_FALSE(link.taken_within(std::chrono::seconds(60)));
  }
  SECTION("not read by one who is gone") {
    pair->second.reset();
    CHECK_FALSE(link.taken_within(std::chrono::seconds(60)));
  }
}

TEST_CASE("who waits to write sees that its other side has hung up, though another holder reads nothing") {
  auto pair = socket_pair();
  REQUIRE(pair);
  const Fd other_holder(::dup(pair->first.get()));
  const std::string bytes(65536, 'x');
  while (::send(pair->second.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
  }
  pollfd writer{pair->second.get(), POLLOUT, 0};
  REQUIRE(::poll(&writer, 1, 0) == 0);
  hang_up(pair->first);
  REQUIRE(::poll(&writer, 1, 0) == 1);
  CHECK((writer.revents & POLLOUT) != 0);
  CHECK(::send(pair->second.get(), bytes.data(), 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0);
  CHECK(errno == EPIPE);
}
