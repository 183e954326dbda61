#include <mutex>
#include <vector>

#include "rpc/messages.hpp"
#include "rpc/unix_frame.hpp"
#include "vmsec/control.hpp"

namespace vmsec {

Control::~Control() = default;

namespace {

class AgentClient final : public Control {
 public:
  explicit AgentClient(std::string path) : path_(std::move(path)) {}

  Result<Packet> call(std::string_view interface, std::uint32_t method, Packet request) override {
    VMSEC_TRY(Fd socket, take_connection());
    rpc::Request message{std::string(interface), method, std::move(request.bytes)};
    const auto sent = rpc::send_frame(socket.get(), Packet{wire::encode(message), std::move(request.fds)});
    if (!sent) return fail(reason_of(socket.get(), sent.error()));
    VMSEC_TRY(Packet answer, rpc::receive_frame(socket.get()));
    VMSEC_TRY(rpc::Reply reply, wire::decode<rpc::Reply>(answer.bytes));
    give_back(std::move(socket));
    if (reply.error) return fail(reply.error->error());
    return Packet{std::move(reply.payload), std::move(answer.fds)};
  }

  // Whoever is turned away is told why, and may find out only when sending fails.
  static Error reason_of(int socket, const Error& failed) {
    if (failed.code != Code::unavailable) return failed;
    const auto last = rpc::receive_frame(socket);
    if (!last) return failed;
    const auto reply = wire::decode<rpc::Reply>(last->bytes);
    return reply && reply->error ? reply->error->error() : failed;
  }

  // Connects now, so that a wrong path is known at once.
  Status probe() {
    VMSEC_TRY(Fd socket, take_connection());
    give_back(std::move(socket));
    return {};
  }

 private:
  Result<Fd> take_connection() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        Fd socket = std::move(idle_.back());
        idle_.pop_back();
        return socket;
      }
    }
    auto socket = rpc::connect_unix(path_);
    if (!socket) return fail(socket.error().in("reach vmsecd"));
    return socket;
  }

  void give_back(Fd socket) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(socket));
  }

  const std::string path_;
  std::mutex mutex_;
  std::vector<Fd> idle_;
};

}  // namespace

Result<std::shared_ptr<Control>> connect_agent(const std::string& socket_path) {
  auto client = std::make_shared<AgentClient>(socket_path);
  VMSEC_CHECK(client->probe());
  return std::shared_ptr<Control>(std::move(client));
}

}  // namespace vmsec
