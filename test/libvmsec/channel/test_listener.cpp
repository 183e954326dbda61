#include <condition_variable>
#include <mutex>

#include "channel/address.hpp"
#include "channel/listener.hpp"
#include "libvmsec/channel/pair.hpp"

namespace vmsec::test {
namespace {

using namespace channel;

// Counts, and waits for a count.
class Counter {
 public:
  void add() {
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  bool reaches(int wanted) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return count_ >= wanted; });
  }
  int count() {
    const std::lock_guard lock(mutex_);
    return count_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

void echo(std::unique_ptr<TlsConnection> connection) {
  while (true) {
    auto frame = connection->receive();
    if (!frame || !connection->send(*frame)) return;
  }
}

}  // namespace

TEST_CASE("addresses are host:port or [v6]:port") {
  CHECK(good(parse_address("web-1:7000")).host == "web-1");
  CHECK(good(parse_address("[::1]:7000")).host == "::1");
  CHECK(good(parse_address(":0")).port == "0");
  for (const char* text : {"", "web-1", "web-1:", "web-1:x", "web-1:70000", "::1:70", "[::1:70", "[]:70", "a:b:70"})
    CHECK(code_of(parse_address(text)) == Code::invalid_argument);
}

TEST_CASE("a listener takes a free port and serves several clients at once") {
  Cloud cloud;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  const TlsContext client = good(TlsContext::create(cloud.host("web-1")));
  const auto listener = good(Listener::start(server, "127.0.0.1:0", echo));
  CHECK_THAT(listener->address(), Catch::StartsWith("127.0.0.1:") && !Catch::EndsWith(":0"));
  const auto first = good(TlsConnection::connect(client, listener->address(), "web-2"));
  const auto second = good(TlsConnection::connect(client, listener->address(), "web-2"));
  for (const auto* each : {&first, &second}) {
    good((*each)->send("hello"));
    CHECK(good((*each)->receive()) == "hello");
  }
  first->close();
  second->close();
  listener->stop();
  CHECK(code_of(TlsConnection::connect(client, listener->address(), "web-2")) == Code::unavailable);
}

TEST_CASE("strangers are turned away, reported, and keep nobody out for good") {
  Cloud cloud;
  Cloud other;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  Counter refused;
  ListenerOptions options;
  options.max_handshakes = 2;
  options.handshake_timeout = Microseconds{300'000};
  const auto listener = good(
      Listener::start(server, "127.0.0.1:0", echo, [&](const std::string&, const Error&) { refused.add(); }, options));
  std::vector<Fd> silent;
  for (int i = 0; i < 5; ++i)
    silent.push_back(good(connect_to(listener->address(), deadline_in(Microseconds{5'000'000}))));
  const TlsContext client = good(TlsContext::create(cloud.host("web-1")));
  const auto connection = good(TlsConnection::connect(client, listener->address(), "web-2", Microseconds{60'000'000}));
  good(connection->send("through"));
  CHECK(good(connection->receive()) == "through");
  CHECK(refused.reaches(5));
  const TlsContext wrong = good(TlsContext::create(other.host("web-1")));
  CHECK(code_of(TlsConnection::connect(wrong, listener->address(), "web-2")) == Code::unauthenticated);
  CHECK(refused.reaches(6));
  connection->close();
}

TEST_CASE("sockets that say nothing keep nobody out, however many and for however long") {
  Cloud cloud;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  const TlsContext client = good(TlsContext::create(cloud.host("web-1")));
  ListenerOptions options;
  options.max_handshakes = 2;
  options.max_strangers = 20;
  options.first_byte_timeout = options.handshake_timeout = options.patience = Microseconds{3600ull * 1'000'000};
  Counter refused;
  const auto listener = good(
      Listener::start(server, "127.0.0.1:0", echo, [&](const std::string&, const Error&) { refused.add(); }, options));
  std::vector<Fd> silent;
  for (int i = 0; i < 40; ++i)
    silent.push_back(good(connect_to(listener->address(), deadline_in(Microseconds{5'000'000}))));
  const auto connection = good(TlsConnection::connect(client, listener->address(), "web-2", Microseconds{60'000'000}));
  good(connection->send("through"));
  CHECK(good(connection->receive()) == "through");
  CHECK(refused.reaches(20));  // the lobby's places are few
  connection->close();
}

TEST_CASE("while others wait, handshakes that get nowhere are ended") {
  Cloud cloud;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  const TlsContext client = good(TlsContext::create(cloud.host("web-1")));
  ListenerOptions options;
  options.max_handshakes = 1;
  options.handshake_timeout = Microseconds{3600ull * 1'000'000};
  options.patience = Microseconds{100'000};
  const auto listener = good(Listener::start(server, "127.0.0.1:0", echo, {}, options));
  const Fd slow = good(connect_to(listener->address(), deadline_in(Microseconds{5'000'000})));
  REQUIRE(::send(slow.get(), "\x16\x03", 2, MSG_NOSIGNAL) == 2);  // a record's begin, and no more
  const auto connection = good(TlsConnection::connect(client, listener->address(), "web-2", Microseconds{60'000'000}));
  good(connection->send("through"));
  CHECK(good(connection->receive()) == "through");
  connection->close();
}

TEST_CASE("one host's connections leave places for others") {
  Cloud cloud;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  const TlsContext greedy = good(TlsContext::create(cloud.host("web-1")));
  const TlsContext modest = good(TlsContext::create(cloud.host("web-3")));
  ListenerOptions options;
  options.max_of_one_peer = 2;
  Counter refused;
  const auto listener = good(
      Listener::start(server, "127.0.0.1:0", echo, [&](const std::string&, const Error&) { refused.add(); }, options));
  auto first = good(TlsConnection::connect(greedy, listener->address(), "web-2"));
  auto second = good(TlsConnection::connect(greedy, listener->address(), "web-2"));
  auto third = good(TlsConnection::connect(greedy, listener->address(), "web-2"));
  CHECK(code_of(third->receive()) == Code::unavailable);
  CHECK(refused.reaches(1));
  const auto other = good(TlsConnection::connect(modest, listener->address(), "web-2"));
  good(other->send("hello"));
  CHECK(good(other->receive()) == "hello");
  first->close();
  CHECK_FALSE(first->receive());
  first.reset();
  // Its place is free again, once its end has been seen.
  bool again = false;
  for (int i = 0; i < 600 && !again; ++i) {
    const auto next = good(TlsConnection::connect(greedy, listener->address(), "web-2"));
    again = next->send("hello").has_value() && next->receive().has_value();
    next->close();
  }
  CHECK(again);
  second->close();
  other->close();
}

TEST_CASE("no more connections than allowed are served at once") {
  Cloud cloud;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  const TlsContext client = good(TlsContext::create(cloud.host("web-1")));
  ListenerOptions options;
  options.max_connections = 1;
  Counter served;
  const auto listener = good(Listener::start(
      server, "127.0.0.1:0",
      [&](std::unique_ptr<TlsConnection> connection) {
        served.add();
        echo(std::move(connection));
      },
      {}, options));
  auto first = good(TlsConnection::connect(client, listener->address(), "web-2"));
  REQUIRE(served.reaches(1));
  CHECK(code_of(TlsConnection::connect(client, listener->address(), "web-2", Microseconds{300'000})) == Code::timeout);
  CHECK(served.count() == 1);
  first->close();
  first.reset();
  auto third = TlsConnection::connect(client, listener->address(), "web-2", Microseconds{60'000'000});
  CHECK(code_of(third) == Code::ok);
  if (third) (*third)->close();
}

TEST_CASE("stopping ends the handshakes that are under way") {
  Cloud cloud;
  const TlsContext server = good(TlsContext::create(cloud.host("web-2")));
  ListenerOptions options;
  options.handshake_timeout = Microseconds{3600ull * 1'000'000};
  const auto listener = good(Listener::start(server, "[::1]:0", echo, {}, options));
  const Fd silent = good(connect_to(listener->address(), deadline_in(Microseconds{5'000'000})));
  listener->stop();
  char byte = 0;
  good(wait_for(silent.get(), 1, nullptr));  // POLLIN: it was ended
  CHECK(::recv(silent.get(), &byte, 1, 0) <= 0);
}

}  // namespace vmsec::test
