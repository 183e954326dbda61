#include "rpc/agent_server.hpp"

#include <sys/socket.h>

#include <chrono>

#include "rpc/calling_user.hpp"
#include "rpc/messages.hpp"
#include "rpc/unix_frame.hpp"

namespace vmsec::rpc {
namespace {

constexpr std::size_t kMaximumConnections = 256;

Result<uid_t> user_of(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return fail(errno_error("identify a caller"));
  return peer.uid;
}

Status check_operator(int socket) {
  VMSEC_TRY(const uid_t user, user_of(socket));
  if (user == 0 || user == ::geteuid()) return {};
  return fail(Code::denied, "call vmsecd: user " + std::to_string(user) + " is neither root nor the agent's own user");
}

// In place of an answer. Whether it arrives is no matter.
void say_why(int socket, const Error& error) {
  std::ignore = send_frame(socket, {wire::encode(Reply{ErrorReply::from(error), {}}), {}}, Microseconds{1'000'000});
}

Packet answer(Control& control, Packet frame) {
  auto request = wire::decode<Request>(frame.bytes);
  if (!request) return {wire::encode(Reply{ErrorReply::from(request.error()), {}}), {}};
  auto result =
      control.call(request->interface, request->method, Packet{std::move(request->payload), std::move(frame.fds)});
  if (!result) return {wire::encode(Reply{ErrorReply::from(result.error()), {}}), {}};
  return {wire::encode(Reply{std::nullopt, std::move(result->bytes)}), std::move(result->fds)};
}

}  // namespace

Result<std::unique_ptr<AgentServer>> AgentServer::start(Control& control, const std::string& socket_path) {
  VMSEC_TRY(Fd listener, listen_unix(socket_path));
  return std::unique_ptr<AgentServer>(new AgentServer(control, socket_path, std::move(listener)));
}

AgentServer::AgentServer(Control& control, std::string path, Fd listener)
    : control_(control),
      path_(std::move(path)),
      listener_(std::move(listener)),
      connections_(kMaximumConnections),
      acceptor_([this] { accept_loop(); }) {}

AgentServer::~AgentServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  connections_.stop();
  ::unlink(path_.c_str());
}

void AgentServer::accept_loop() {
  while (true) {
    Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until a connection ends
        continue;
      }
      return;  // shut down
    }
    if (const auto known = check_operator(socket.get()); !known) {
      say_why(socket.get(), known.error());
      continue;
    }
    connections_.start(std::move(socket), [this](int fd) { serve(fd); });
  }
}

void AgentServer::serve(int socket) {
  const auto user = user_of(socket);
  if (!user) return say_why(socket, user.error());
  const CallingUser calling(*user);
  while (true) {
    auto frame = receive_frame(socket);
    if (!frame) {
      if (frame.error().code != Code::unavailable) say_why(socket, frame.error());
      return;
    }
    const auto sent = send_frame(socket, answer(control_, std::move(*frame)));
    if (sent) continue;
    // Too large for a frame: nothing of it was sent, so the caller can still be told.
    if (sent.error().code != Code::limit_exceeded) return;
    say_why(socket, sent.error().in("answer a call"));
  }
}

}  // namespace vmsec::rpc
