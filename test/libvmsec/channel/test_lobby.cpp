#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>

#include "channel/lobby.hpp"

namespace vmsec::test {
namespace {

using namespace channel;
using std::chrono::seconds;

const Stranger::Time kNow{seconds(1000)};

// Strangers, and the ends by which the test speaks for them.
struct Door {
  explicit Door(std::size_t places) : lobby(places) {}
  std::optional<Stranger> enter(const std::string& address, const std::string& origin, int speak_in = 5) {
    std::array<int, 2> pair{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) == 0);
    ends[address] = Fd(pair[1]);
    return lobby.enter({Fd(pair[0]), address, origin, kNow + seconds(speak_in), kNow + seconds(10)});
  }
  void speak(const std::string& address) {
    REQUIRE(::send(ends.at(address).get(), "x", 1, MSG_NOSIGNAL) == 1);
    auto entries = lobby.silent();
    REQUIRE(::poll(entries.data(), entries.size(), 0) > 0);
    lobby.hear(entries);
  }
  Lobby lobby;
  std::map<std::string, Fd> ends;
};

}  // namespace

TEST_CASE("who says nothing is never next, and leaves in time") {
  Door door(10);
  door.enter("a", "A");
  door.enter("b", "B", 3);
  CHECK_FALSE(door.lobby.next({}, 8));
  CHECK(door.lobby.first_deadline() == kNow + seconds(3));
  CHECK(door.lobby.expire(kNow + seconds(2)).empty());
  const auto late = door.lobby.expire(kNow + seconds(3));
  REQUIRE(late.size() == 1);
  CHECK(late[0].address == "b");
  door.speak("a");
  CHECK(door.lobby.expire(kNow + seconds(9)).empty());  // it has spoken: the handshake's time counts
  CHECK(door.lobby.expire(kNow + seconds(10)).size() == 1);
  CHECK_FALSE(door.lobby.first_deadline());
}

TEST_CASE("next is the oldest of the origin with the fewest handshakes, and of none with too many") {
  Door door(10);
  for (const char* address : {"a1", "a2", "b1"}) door.enter(address, std::string(1, address[0]));
  for (const char* address : {"a2", "a1", "b1"}) door.speak(address);
  CHECK(door.lobby.next({{"a", 1}}, 8)->address == "b1");
  CHECK(door.lobby.next({{"a", 7}}, 8)->address == "a1");
  CHECK_FALSE(door.lobby.next({{"a", 8}}, 8));
  CHECK(door.lobby.somebody_speaks());
  CHECK(door.lobby.next({}, 8)->address == "a2");
  CHECK_FALSE(door.lobby.somebody_speaks());
}

TEST_CASE("in a full lobby the origin with the most strangers loses its oldest") {
  Door door(3);
  CHECK_FALSE(door.enter("b1", "b"));
  CHECK_FALSE(door.enter("a1", "a"));
  CHECK_FALSE(door.enter("a2", "a"));
  const auto loser = door.enter("c1", "c");
  REQUIRE(loser);
  CHECK(loser->address == "a1");
  CHECK(door.lobby.silent().size() == 3);
}

}  // namespace vmsec::test
