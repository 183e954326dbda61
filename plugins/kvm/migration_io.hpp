// Sockets and folders of one migration session.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "rpc_message.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/types.hpp"

namespace vmsec::kvm {

// Who makes the sockets of a session's folder.
enum class Listener { agent, qemu };

// A folder of one session below the backend's run_dir, removed with what is in it.
//
//   <run_dir>/<migration>/rpc.sock      libvirtd connects here
//   <run_dir>/<migration>/q/data.sock   QEMU connects here, or listens
//   <run_dir>/<migration>/q/disk.sock   the same, where disks are copied
//
// QEMU may run as another user, as other guests' do: `q` is that user's only where QEMU itself makes the sockets.
class SessionFolder {
 public:
  // `qemu_user`: empty where QEMU runs as this process's user.
  static Result<SessionFolder> create(const std::string& run_dir, const Uuid& migration, const std::string& qemu_user,
                                      Listener listener);
  SessionFolder(SessionFolder&& other) noexcept;
  SessionFolder& operator=(SessionFolder&&) = delete;
  ~SessionFolder();

  [[nodiscard]] std::string rpc_socket() const { return path_ + "/rpc.sock"; }
  [[nodiscard]] std::string data_socket() const { return path_ + "/q/data.sock"; }
  [[nodiscard]] std::string disk_socket() const { return path_ + "/q/disk.sock"; }
  [[nodiscard]] std::uint32_t qemu_uid() const { return qemu_uid_; }
  [[nodiscard]] std::uint32_t qemu_gid() const { return qemu_gid_; }
  // Gives a socket that we listen on to QEMU's user.
  [[nodiscard]] Status give_to_qemu(const std::string& path) const;

 private:
  SessionFolder(std::string path, std::uint32_t uid, std::uint32_t gid)
      : path_(std::move(path)), qemu_uid_(uid), qemu_gid_(gid) {}
  std::string path_;
  std::uint32_t qemu_uid_;
  std::uint32_t qemu_gid_;
};

Result<Fd> listen_on(const std::string& path);
// Blocks for up to ten seconds.
Result<Fd> connect_to(const std::string& path);
Result<std::pair<Fd, Fd>> socket_pair();
Result<Fd> event_descriptor();
Status set_nonblocking(const Fd& fd);
// Ends a connection for all who hold this end, and makes room for what its other side wanted to write: one that waits
// for that, as QEMU does, would not see the end.
void hang_up(const Fd& fd);
// The process that connected a Unix socket's other side.
struct PeerProcess {
  std::uint32_t uid = 0;
  pid_t pid = 0;  // 0: it is in a process namespace that is not seen from here
};
Result<PeerProcess> peer_process(const Fd& fd);

// One side of a libvirt connection: whole messages in, bytes out, never blocking.
class RpcLink {
 public:
  enum class State { open, closed };

  RpcLink() = default;
  explicit RpcLink(Fd fd) : fd_(std::move(fd)) {}

  [[nodiscard]] bool is_open() const { return fd_.valid(); }
  // Open at the other side too, and all that was sent to it is on its way.
  [[nodiscard]] bool waits() const;
  // The other side has read all that was sent to it, and is still there; waits for that.
  [[nodiscard]] bool taken_within(std::chrono::milliseconds time);
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] short events() const;
  // An error names what the other side sent; the link is of no more use then.
  Result<State> receive(const std::function<void(const rpc::Message&)>& each);
  // Ends the connection when the other side does not read.
  void send(std::string_view bytes);
  void flush();
  void close() { fd_.reset(); }
  // What could not be sent yet is sent, for up to a second, before the end.
  void close_gently();

 private:
  Fd fd_;
  rpc::Framer framer_;
  std::string out_;
};

}  // namespace vmsec::kvm
