#include "guest_port.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "guest_turns.hpp"
#include "vmsec/guest_frame.hpp"

using namespace vmsec;
using namespace vmsec::common;

namespace {

const Uuid kGuest = Uuid::parse("11111111-2222-4333-8444-555555555555").value();

// A port, and what is at its other end while this lives.
struct Port {
  Fd host;
  Fd guest;
  std::thread thread;

  explicit Port(std::function<void(Port&)> act) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    host.reset(ends[0]);
    guest.reset(ends[1]);
    thread = std::thread([this, act = std::move(act)] { act(*this); });
  }
  ~Port() {
    host.reset();
    thread.join();
  }
  GuestFrame asked() {
    GuestFrameReader reader;
    char byte = 0;
    while (::read(guest.get(), &byte, 1) == 1) {
      reader.add({&byte, 1});
      if (auto frame = reader.next(); frame && *frame) return std::move(**frame);
    }
    return {};
  }
  void say(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(guest.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  Result<GuestReply> ask(const std::string& request, std::uint32_t timeout = 10'000) const {
    return exchange(host, {kGuest, request, timeout});
  }
};

}  // namespace

TEST_CASE("a guest's answer is the frame of the question's number") {
  Port port([](Port& p) {
    auto frame = p.asked();
    frame.payload = "answer to " + frame.payload;
    p.say(guest_frame::encode(frame));
  });
  CHECK(port.ask("question").value().reply == "answer to question");
}

TEST_CASE("what another exchange has left on the port is dropped") {
  std::string left;
  SECTION("a whole answer") { left = guest_frame::encode({7, "late"}); }
  SECTION("half of an answer") { left = guest_frame::encode({7, std::string(100, 'x')}).substr(0, 40); }
  SECTION("noise, with the start of a frame at its end") { left = std::string(70'000, '\xff') + "VMG"; }
  Port port([&](Port& p) {
    auto frame = p.asked();
    frame.payload = "right";
    p.say(left + guest_frame::encode(frame));
  });
  CHECK(port.ask("?").value().reply == "right");
}

TEST_CASE("an answer may come byte by byte, and as long as the limit says") {
  const std::string whole(kMaxGuestFrame, 'z');
  Port port([&](Port& p) {
    auto frame = p.asked();
    frame.payload = whole;
    const std::string bytes = guest_frame::encode(frame);
    for (std::size_t i = 0; i < 40; ++i) p.say(bytes.substr(i, 1));
    p.say(std::string_view(bytes).substr(40));
  });
  CHECK(port.ask(whole).value().reply == whole);
}

TEST_CASE("a guest that says too much is given up") {
  SECTION("in one frame") {
    Port port([](Port& p) {
      const auto frame = p.asked();
      p.say("VMG1" + guest_frame::big_endian(frame.number) + std::string("\x00\x10\x00\x01", 4));
    });
    CHECK(port.ask("?").error().code == Code::limit_exceeded);
  }
  SECTION("without an end") {
    Port port([](Port& p) {
      static_cast<void>(p.asked());
      for (int i = 0; i < 50; ++i) p.say(std::string(65'536, 'x'));
    });
    CHECK(port.ask("?").error().code == Code::limit_exceeded);
  }
}

TEST_CASE("a guest that does not answer is named as that") {
  SECTION("it says nothing") {
    Port port([](Port& p) { static_cast<void>(p.asked()); });
    CHECK(port.ask("?", 50).error().code == Code::timeout);
  }
  SECTION("it stops in the middle") {
    Port port([](Port& p) { p.say(guest_frame::encode({p.asked().number, "xyz"}).substr(0, 18)); });
    CHECK(port.ask("?", 50).error().code == Code::timeout);
  }
  SECTION("it answers another question") {
    Port port([](Port& p) { p.say(guest_frame::encode({p.asked().number + 1, "xyz"})); });
    CHECK(port.ask("?", 50).error().code == Code::timeout);
  }
  SECTION("its port is closed") {
    Port port([](Port& p) {
      static_cast<void>(p.asked());
      p.guest.reset();
    });
    CHECK(port.ask("?").error().code == Code::unavailable);
  }
  SECTION("nobody has the port") {
    CHECK(connect_guest_port("/does/not/exist").error().code == Code::unavailable);
    CHECK(connect_guest_port(std::string(200, 'x')).error().code == Code::unsupported);
  }
}

TEST_CASE("a question that is too long, or has no time, is not asked") {
  Port port([](Port&) {});
  CHECK(port.ask(std::string(kMaxGuestFrame + 1, 'x')).error().code == Code::limit_exceeded);
  CHECK(port.ask("?", 0).error().code == Code::invalid_argument);
  CHECK(port.ask("?", kMaxGuestTimeout + 1).error().code == Code::invalid_argument);
}

TEST_CASE("one caller at a time has a guest's port") {
  GuestTurns turns;
  const Uuid other = Uuid::parse("11111111-2222-4333-8444-666666666666").value();
  {
    const auto first = turns.take(kGuest, std::chrono::milliseconds(0));
    REQUIRE(first);
    CHECK(turns.take(kGuest, std::chrono::milliseconds(1)).error().code == Code::unavailable);
    CHECK(turns.take(other, std::chrono::milliseconds(0)));
  }
  CHECK(turns.take(kGuest, std::chrono::milliseconds(0)));
}
