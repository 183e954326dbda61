#include "rpc/agent_server.hpp"

#include <sys/socket.h>

#include <chrono>

#include "rpc/messages.hpp"
#include "rpc/unix_frame.hpp"

namespace vmsec::rpc {
namespace {

constexpr std::size_t kMaximumConnections = 256;

bool is_operator(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
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
      if (errno == EMFILE || errno == ENFILE) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until a connection ends
        continue;
      }
      return;  // shut down
    }
    if (!is_operator(socket.get())) continue;
    connections_.start(std::move(socket), [this](int fd) { serve(fd); });
  }
}

void AgentServer::serve(int socket) {
  while (true) {
    auto frame = receive_frame(socket);
    if (!frame) return;
    if (!send_frame(socket, answer(control_, std::move(*frame)))) return;
  }
}

}  // namespace vmsec::rpc
