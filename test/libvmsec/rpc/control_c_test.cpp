// The C API against an agent's socket: calls, errors, descriptors, and structs of other releases.
#include "vmsec/control.h"

#include <array>
#include <cstring>

#include "libvmsec/channel/pair.hpp"
#include "rpc/agent_server.hpp"

namespace vmsec::test {
namespace {

class Echo final : public Control {
 public:
  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    if (method == 2) return fail(Code::not_found, "no such thing");
    return Packet{std::string(interface) + ":" + request.bytes, std::move(request.fds)};
  }
};

struct Agent {
  TempDir dir;
  std::string path = dir.path() / "agent.sock";
  std::shared_ptr<Echo> echo = std::make_shared<Echo>();
  std::unique_ptr<rpc::AgentServer> server = good(rpc::AgentServer::start(*echo, path));
  vmsec_control* control = nullptr;

  Agent() {
    vmsec_reply reply{};
    reply.size = sizeof reply;
    vmsec_control_connect(path.c_str(), &control, &reply);
    REQUIRE(control != nullptr);
    CHECK(reply.code == 0);
    reply.release(&reply);
  }
  ~Agent() { vmsec_control_close(control); }
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;
};

vmsec_call call_of(std::uint32_t method, const std::string& interface, const std::string& bytes) {
  vmsec_call call{};
  call.size = sizeof call;
  call.method = method;
  call.interface_name = interface.data();
  call.interface_name_size = interface.size();
  call.data = bytes.data();
  call.data_size = bytes.size();
  return call;
}

std::string text_of(const vmsec_reply& reply) {
  std::array<char, 256> text{};
  vmsec_control_error(&reply, text.data(), text.size());
  return text.data();
}

const std::string kName = "a.b";
const std::string kHello = "hello";

}  // namespace

TEST_CASE("C API: bytes and descriptors go there and back") {
  const Agent agent;
  auto [near, far] = socket_pair();
  const std::int32_t number = far.release();
  vmsec_call call = call_of(1, kName, kHello);
  call.fds = &number;
  call.fd_count = 1;
  vmsec_reply reply{};
  reply.size = sizeof reply;
  vmsec_control_call(agent.control, &call, &reply);
  REQUIRE(reply.code == 0);
  CHECK(std::string(static_cast<const char*>(reply.data), reply.data_size) == "a.b:hello");
  REQUIRE(reply.fd_count == 1);
  const Fd back(reply.fds[0]);
  CHECK(::send(back.get(), "x", 1, MSG_NOSIGNAL) == 1);
  CHECK(vmsec_control_error(&reply, nullptr, 0) == 0);
  reply.release(&reply);
  CHECK(reply.data == nullptr);
}

TEST_CASE("C API: an error has a code and a text, cut to the room that there is") {
  const Agent agent;
  const vmsec_call call = call_of(2, kName, kHello);
  vmsec_reply reply{};
  reply.size = sizeof reply;
  vmsec_control_call(agent.control, &call, &reply);
  CHECK(reply.code == static_cast<std::uint32_t>(Code::not_found));
  std::array<char, 8> text{};
  CHECK(vmsec_control_error(&reply, text.data(), text.size()) == std::strlen("no such thing"));
  CHECK(std::string(text.data()) == "no such");
  reply.release(&reply);

  vmsec_control* none = agent.control;
  reply.size = sizeof reply;
  vmsec_control_connect((agent.path + ".not").c_str(), &none, &reply);
  CHECK(none == nullptr);
  CHECK(reply.code == static_cast<std::uint32_t>(Code::unavailable));
  CHECK_THAT(text_of(reply), Catch::Contains("reach vmsecd"));
  reply.release(&reply);
}

TEST_CASE("C API: a reply is written as far as the caller's struct goes, and no further") {
  const Agent agent;
  const vmsec_call call = call_of(1, kName, kHello);
  struct {
    vmsec_reply reply;
    std::array<char, 16> behind;
  } newer{};
  newer.behind.fill('!');
  newer.reply.size = sizeof newer;  // of a later release, with fields that this one does not know
  vmsec_control_call(agent.control, &call, &newer.reply);
  CHECK(newer.reply.code == 0);
  CHECK(newer.behind[0] == '!');
  newer.reply.release(&newer.reply);
  CHECK(newer.behind[15] == '!');

  vmsec_reply short_one{};
  std::memset(static_cast<void*>(&short_one), 0x55, sizeof short_one);
  const vmsec_reply before = short_one;
  short_one.size = VMSEC_CONTROL_REPLY_SIZE - 1;
  vmsec_control_call(agent.control, &call, &short_one);
  CHECK(short_one.code == before.code);
  CHECK(short_one.data == before.data);
}

TEST_CASE("C API: a call that is too short, or says nothing, is the caller's mistake") {
  const Agent agent;
  vmsec_reply reply{};
  const auto refused = [&](vmsec_control* control, const vmsec_call* call) {
    reply = vmsec_reply{};
    reply.size = sizeof reply;
    vmsec_control_call(control, call, &reply);
    const bool is = reply.code == static_cast<std::uint32_t>(Code::invalid_argument);
    reply.release(&reply);
    return is;
  };
  vmsec_call call = call_of(1, kName, kHello);
  CHECK(refused(nullptr, &call));
  CHECK(refused(agent.control, nullptr));
  call.size = VMSEC_CONTROL_CALL_SIZE - 1;
  CHECK(refused(agent.control, &call));
  call = call_of(1, "", kHello);
  CHECK(refused(agent.control, &call));
  vmsec_control_close(nullptr);
}

}  // namespace vmsec::test
