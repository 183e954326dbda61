// The agent's socket: calls, errors, callers that are refused, and what is no call.
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <thread>

#include "libvmsec/channel/pair.hpp"
#include "rpc/agent_server.hpp"
#include "rpc/messages.hpp"
#include "rpc/unix_frame.hpp"

namespace vmsec::test {
namespace {

using namespace rpc;

// Answers what it got; method 2 fails, method 3 gives the descriptor back, method 4 waits.
class Echo final : public Control {
 public:
  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    ++calls;
    if (method == 2) return fail(Error{Code::not_found, "no such thing", 42, "libvirt"});
    if (method == 4) wait();
    if (method == 5) return Packet{std::string(kMaximumFrame + 1, 'x'), {}};
    return Packet{std::string(interface) + ":" + request.bytes, std::move(request.fds)};
  }
  void wait() {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait_for(lock, std::chrono::seconds(60), [&] { return waiting >= 2; });
  }
  std::atomic<int> calls = 0;
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
};

struct Agent {
  TempDir dir;
  std::string path = dir.path() / "agent.sock";
  std::shared_ptr<Echo> echo = std::make_shared<Echo>();
  std::unique_ptr<AgentServer> server = good(AgentServer::start(*echo, path));

  // The error by which the agent answers these raw bytes.
  Error refusal(const Fd& socket) const {
    const auto answer = good(receive_frame(socket.get()));
    const auto reply = good(wire::decode<Reply>(answer.bytes));
    REQUIRE(reply.error);
    return reply.error->error();
  }
};

void write_raw(const Fd& to, std::string_view bytes) {
  REQUIRE(::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
}

}  // namespace

TEST_CASE("a call's bytes, descriptors and errors cross the agent's socket") {
  Agent agent;
  const auto control = good(connect_agent(agent.path));
  CHECK(good(control->call("a.b", 1, Packet{"hello", {}})).bytes == "a.b:hello");
  Packet with{"fd", {}};
  auto [near, far] = socket_pair();
  with.fds.push_back(std::move(far));
  const Packet back = good(control->call("a.b", 3, std::move(with)));
  REQUIRE(back.fds.size() == 1);
  REQUIRE(::send(back.fds[0].get(), "x", 1, MSG_NOSIGNAL) == 1);
  char byte = 0;
  CHECK(::recv(near.get(), &byte, 1, 0) == 1);

  const auto failed = control->call("a.b", 2, {});
  REQUIRE(code_of(failed) == Code::not_found);
  CHECK(failed.error().message == "no such thing");
  CHECK(failed.error().native == 42);
  CHECK(failed.error().native_source == "libvirt");
}

TEST_CASE("calls from several threads run at once, each on a connection of its own") {
  Agent agent;
  const auto control = good(connect_agent(agent.path));
  std::jthread other([&] { std::ignore = control->call("a", 4, {}); });
  CHECK(control->call("a", 4, {}));  // answers only once both are there
}

TEST_CASE("garbage in a frame is answered with an error that names it, and the connection lives on") {
  Agent agent;
  const Fd socket = good(connect_unix(agent.path));
  for (const char* garbage : {"\xff\xff\xff",
                              "\x0a\x7f"
                              "cut",
                              "\x08\x01", "\x12\x01x"}) {
    good(send_frame(socket.get(), Packet{garbage, {}}));
    const Error error = agent.refusal(socket);
    CHECK(error.code == Code::invalid_argument);
    CHECK_THAT(error.message, Catch::StartsWith("decode vmsec.rpc.Request"));
  }
  CHECK(agent.echo->calls == 0);
  good(send_frame(socket.get(), Packet{wire::encode(Request{"a", 1, "x"}), {}}));
  CHECK(good(wire::decode<Reply>(good(receive_frame(socket.get())).bytes)).payload == "a:x");
}

TEST_CASE("an oversized or truncated frame is answered with its cause, and the connection ends") {
  Agent agent;
  const Fd socket = good(connect_unix(agent.path));
  SECTION("oversized") {
    write_raw(socket, "\x7f\xff\xff\xff");
    const Error error = agent.refusal(socket);
    CHECK(error.code == Code::limit_exceeded);
    CHECK_THAT(error.message, Catch::Contains("2147483647 bytes exceed 16 MiB"));
  }
  SECTION("truncated") {
    write_raw(socket, std::string("\0\0\0\x09half", 8));
    REQUIRE(::shutdown(socket.get(), SHUT_WR) == 0);
    CHECK_THAT(agent.refusal(socket).message, Catch::Contains("ended within it"));
  }
  CHECK(code_of(receive_frame(socket.get())) == Code::unavailable);
  CHECK(agent.echo->calls == 0);
  CHECK(good(connect_agent(agent.path))->call("a", 1, {}));  // others are served
}

TEST_CASE("an answer too large for a frame ends that call, and no other") {
  Agent agent;
  const auto control = good(connect_agent(agent.path));
  const auto large = control->call("a", 5, {});
  CHECK(code_of(large) == Code::limit_exceeded);
  CHECK(control->call("a", 1, {}));
}

TEST_CASE("another user is told that it may not call") {
  if (::geteuid() != 0) {
    WARN("skipped: only root can be another user");
    return;
  }
  Agent agent;
  fs::permissions(agent.dir.path(), fs::perms::all);
  REQUIRE(::chmod(agent.path.c_str(), 0666) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // After fork: nothing that allocates under another thread's lock; exit codes tell what happened.
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(10);
    const auto socket = connect_unix(agent.path);
    if (!socket) ::_exit(11);
    const auto answer = receive_frame(socket->get());
    if (!answer) ::_exit(12);
    const auto reply = wire::decode<Reply>(answer->bytes);
    if (!reply || !reply->error) ::_exit(13);
    const bool named = reply->error->message.find("65534") != std::string::npos;
    ::_exit(reply->error->code == Code::denied && named ? 0 : 14);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(agent.echo->calls == 0);
}

TEST_CASE("whoever is turned away hears why through its call") {
  TempDir dir;
  const std::string path = dir.path() / "s";
  const Fd listener = good(listen_unix(path));
  std::jthread refusing([&] {
    const Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const Error why{Code::denied, "call vmsecd: not you", 0, {}};
    std::ignore = send_frame(socket.get(), {wire::encode(Reply{ErrorReply::from(why), {}}), {}});
  });
  const auto control = good(connect_agent(path));
  refusing.join();
  const auto call = control->call("a", 1, {});
  CHECK(code_of(call) == Code::denied);
  CHECK_THAT(message_of(call), Catch::Contains("not you"));
}

TEST_CASE("an agent that answers with garbage is an error, no crash") {
  TempDir dir;
  const std::string path = dir.path() / "s";
  const Fd listener = good(listen_unix(path));
  const auto bytes = GENERATE(as<std::string>{}, std::string("\0\0\0\x03\xff\xff\xff", 7),
                              std::string("\xff\xff\xff\xff", 4), std::string("\0\0\0\x05hal", 7), std::string());
  std::jthread lying([&] {
    const Fd socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    std::ignore = receive_frame(socket.get());
    std::ignore = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  });
  const auto control = good(connect_agent(path));
  CHECK_FALSE(control->call("a", 1, {}));
}

TEST_CASE("an agent that goes away is unavailable, and found again when it is back") {
  Agent agent;
  const auto control = good(connect_agent(agent.path));
  CHECK(control->call("a", 1, {}));
  agent.server.reset();
  CHECK(code_of(control->call("a", 1, {})) == Code::unavailable);
  const auto none = connect_agent(agent.path);
  CHECK(code_of(none) == Code::unavailable);
  CHECK_THAT(message_of(none), Catch::StartsWith("reach vmsecd: "));
  agent.server = good(AgentServer::start(*agent.echo, agent.path));
  CHECK(control->call("a", 1, {}));
}

TEST_CASE("a second agent does not take a socket that is served") {
  Agent agent;
  CHECK(code_of(AgentServer::start(*agent.echo, agent.path)) == Code::already_exists);
  CHECK(good(connect_agent(agent.path))->call("a", 1, {}));
}

TEST_CASE("an agent ends while callers are idle and half-way through a frame") {
  Agent agent;
  const Fd idle = good(connect_unix(agent.path));
  const Fd half = good(connect_unix(agent.path));
  write_raw(half, std::string("\0\0\0\x09half", 8));
  agent.server.reset();
  CHECK_FALSE(fs::exists(agent.path));
}

}  // namespace vmsec::test
