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

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::ranges::distance(fs::directory_iterator("/proc/self/fd")));
}

void send_descriptors(const Fd& to, std::string bytes, int count) {
  std::array<char, CMSG_SPACE(17 * sizeof(int))> control{};
  iovec piece{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = CMSG_SPACE(static_cast<std::size_t>(count) * sizeof(int));
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(static_cast<std::size_t>(count) * sizeof(int));
  for (int i = 0; i < count; ++i)
    std::memset(CMSG_DATA(part) + static_cast<std::size_t>(i) * sizeof(int), 0, sizeof(int));
  REQUIRE(::sendmsg(to.get(), &message, MSG_NOSIGNAL) > 0);
}

std::string head(std::size_t size) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  return bytes;
}

}  // namespace

TEST_CASE("a frame arrives as it was sent, whatever its size, with its descriptors") {
  const std::size_t size = GENERATE(0, 1, 4000, 4096, 70'000, 3'000'000);
  const bool to_worker = GENERATE(true, false);
  Ends ends;
  Line worker(std::move(ends.raw), Other::host);
  Line& from = to_worker ? *ends.line : worker;
  Line& to = to_worker ? worker : *ends.line;
  std::vector<Fd> fds;
  if (to_worker) fds.emplace_back(::dup(0));
  std::thread sender([&] { good(from.send(call_of(std::string(size, 'x')), fds)); });
  const Message message = good(to.receive());
  sender.join();
  CHECK(message.frame.kind == FrameKind::call);
  CHECK(message.frame.interface == "vmsec.Enforcement");
  CHECK(message.frame.method == 2);
  CHECK(message.frame.payload == std::string(size, 'x'));
  CHECK(message.fds.size() == fds.size());
}

TEST_CASE("a worker's end sends no descriptors: it is told so, and the line is good for more") {
  Ends ends;
  Line worker(std::move(ends.raw), Other::host);
  std::vector<Fd> fds;
  fds.emplace_back(::dup(0));
  CHECK(code_of(worker.send(call_of("x"), fds)) == Code::limit_exceeded);
  good(worker.send(call_of("plain")));
  CHECK(good(ends.line->receive()).frame.payload == "plain");
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

TEST_CASE("descriptors from a worker break the rules, and are never this process's, however little comes with them") {
  Ends ends;
  const int count = GENERATE(1, 16, 17);
  std::string whole = head(2) + "\x08\x02";
  std::size_t before = 0;
  SECTION("with a whole frame") { send_descriptors(ends.raw, whole, count); }
  SECTION("with half a frame") { send_descriptors(ends.raw, head(100) + "abc", count); }
  SECTION("with the first byte of one") { send_descriptors(ends.raw, std::string(1, '\0'), count); }
  SECTION("with the rest of one") {
    ends.write(head(100) + "abc");
    send_descriptors(ends.raw, "def", count);
  }
  before = open_descriptors();
  const auto got = ends.line->receive();
  CHECK(code_of(got) == Code::invalid_argument);
  CHECK_THAT(message_of(got), Catch::Contains("descriptors, which no worker may send"));
  CHECK(open_descriptors() == before);
}

TEST_CASE("while half a worker's frame is waited for, none of its descriptors is held") {
  Ends ends;
  const std::size_t before = open_descriptors();
  const std::string half = head(100) + "abc";
  send_descriptors(ends.raw, half, 16);
  std::thread waiter([&] { CHECK_FALSE(ends.line->receive()); });
  std::size_t most = 0;
  for (int i = 0; i < 50; ++i) {
    most = std::max(most, open_descriptors());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ends.line->shut();
  waiter.join();
  CHECK(most <= before + 1);  // the folder in which they are counted
}

TEST_CASE("descriptors on a worker's control socket are refused and closed") {
  LinePair pair = good(control_pair());
  send_descriptors(pair.far, head(2) + "\x08\x0d", 16);
  const std::size_t before = open_descriptors();
  CHECK(code_of(receive_control(pair.near, Descriptors::none)) == Code::invalid_argument);
  CHECK(open_descriptors() == before);
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
  CHECK(code_of(receive_control(pair.near, Descriptors::none)) == Code::invalid_argument);
}

TEST_CASE("a control socket that nobody reads does not hold who writes to it") {
  LinePair pair = good(control_pair());
  Status sent;
  for (int i = 0; i < 100'000 && sent; ++i) sent = send_control(pair.near, call_of("x"), {}, Wait::not_at_all);
  CHECK(code_of(sent) == Code::timeout);
}

}  // namespace vmsec::test
