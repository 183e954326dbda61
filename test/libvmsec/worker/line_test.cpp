// The host's end of a line against an other end that keeps to no rule.
#include "worker/line.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <thread>

#include "libvmsec/host/fake_backend.hpp"

namespace vmsec::test {
namespace {

using namespace worker;

struct Ends {
  Ends() {
    LinePair pair = good(line_pair());
    line = std::make_unique<Line>(std::move(pair.near), Other::worker);
    raw = std::move(pair.far);
  }
  void write(std::string_view bytes) const {
    REQUIRE(::send(raw.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  std::unique_ptr<Line> line;
  Fd raw;
};

Frame call_of(std::string payload) {
  Frame frame;
  frame.kind = FrameKind::call;
  frame.interface = "vmsec.Enforcement";
  frame.method = 2;
  frame.payload = std::move(payload);
  return frame;
}

std::string head(std::size_t size) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  return bytes;
}

}  // namespace

TEST_CASE("a frame arrives as it was sent, whatever its size, with its descriptors") {
  const std::size_t size = GENERATE(0, 1, 4000, 4096, 70'000, 3'000'000);
  Ends ends;
  Line other(std::move(ends.raw), Other::host);
  std::vector<Fd> fds;
  fds.emplace_back(::dup(0));
  std::thread sender([&] { good(other.send(call_of(std::string(size, 'x')), fds)); });
  const Message message = good(ends.line->receive());
  sender.join();
  CHECK(message.frame.kind == FrameKind::call);
  CHECK(message.frame.interface == "vmsec.Enforcement");
  CHECK(message.frame.method == 2);
  CHECK(message.frame.payload == std::string(size, 'x'));
  CHECK(message.fds.size() == 1);
}

TEST_CASE("what breaks the rules of a line is named by its rule") {
  const auto [bytes, rule] = GENERATE(table<std::string, const char*>({
      {head(0x7fffffff), "2147483647 bytes, where 4194304 are allowed"},
      {head(kMaximumFromWorker + 1), "4194305 bytes, where 4194304 are allowed"},
      {head(2) + "\x08\x02" + head(2) + "\x08\x02", "out of turn"},
      {head(2) + "\x08\x02x", "out of turn"},
      {head(2) + "\xff\xff", "does not decode"},
      {head(4) + "\x08\x02\x30\x05", "announces 5 descriptors and brings 0"},
  }));
  Ends ends;
  ends.write(bytes);
  const auto message = ends.line->receive();
  CHECK(code_of(message) == Code::invalid_argument);
  CHECK_THAT(message_of(message), Catch::Contains(rule));
}

TEST_CASE("descriptors that no frame announces break the rules, and are closed") {
  Ends ends;
  Line other(good(ends.raw.duplicate()), Other::host);
  std::array<char, CMSG_SPACE(17 * sizeof(int))> control{};
  std::string bytes = head(2) + "\x08\x02";
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  const int count = GENERATE(1, 17);
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(static_cast<std::size_t>(count) * sizeof(int));
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(static_cast<std::size_t>(count) * sizeof(int));
  for (int i = 0; i < count; ++i)
    std::memset(CMSG_DATA(part) + static_cast<std::size_t>(i) * sizeof(int), 0, sizeof(int));
  REQUIRE(::sendmsg(ends.raw.get(), &message, MSG_NOSIGNAL) > 0);
  const auto got = ends.line->receive();
  CHECK(code_of(got) == Code::invalid_argument);
  CHECK_THAT(message_of(got), Catch::Contains("descriptors"));
}

TEST_CASE("an end in mid-frame, or before one, is no more than an end") {
  Ends ends;
  SECTION("before a frame") {}
  SECTION("in its length") { ends.write(std::string(2, '\0')); }
  SECTION("within it") { ends.write(head(100) + "abc"); }
  ends.raw.reset();
  CHECK(code_of(ends.line->receive()) == Code::unavailable);
}

TEST_CASE("whoever waits on a line returns when it is shut") {
  Ends ends;
  std::thread waiter;
  SECTION("to receive") {
    waiter = std::thread([&] { CHECK(code_of(ends.line->receive()) == Code::unavailable); });
  }
  SECTION("for the rest of a frame") {
    ends.write(head(100) + "abc");
    waiter = std::thread([&] { CHECK(code_of(ends.line->receive()) == Code::unavailable); });
  }
  SECTION("to send to somebody who does not read") {
    waiter =
        std::thread([&] { CHECK(code_of(ends.line->send(call_of(std::string(8 << 20, 'x')))) == Code::unavailable); });
  }
  ends.line->shut();
  waiter.join();
}

TEST_CASE("what is too large is not sent at all, and the line is good for more") {
  Ends ends;
  CHECK(code_of(ends.line->send(call_of(std::string(kMaximumToWorker, 'x')))) == Code::limit_exceeded);
  good(ends.line->send(call_of("small")));
  Line other(std::move(ends.raw), Other::host);
  CHECK(good(other.receive()).frame.payload == "small");
}

TEST_CASE("a control message that is cut or lies about its length is refused, and nobody waits for its rest") {
  LinePair pair = good(control_pair());
  const std::string bytes = GENERATE(head(100) + "abc", head(1) + "abc", std::string("ab"), std::string(20'000, 'x'));
  REQUIRE(::send(pair.far.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0);
  CHECK(code_of(receive_control(pair.near)) == Code::invalid_argument);
}

TEST_CASE("a control socket that nobody reads does not hold who writes to it") {
  LinePair pair = good(control_pair());
  Status sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = send_control(pair.near, call_of("x"), {}, Wait::not_at_all);
  CHECK(code_of(sent) == Code::timeout);
}

}  // namespace vmsec::test
