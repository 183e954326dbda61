#include "migration_io.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <pwd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <thread>
#include <vector>

namespace vmsec::kvm {

namespace {

constexpr int kBacklog = 16;
constexpr std::size_t kOutLimit = 2 * rpc::kMessageLimit;
constexpr std::size_t kReadSize = 65536;
constexpr int kConnectSeconds = 10;
constexpr int kGentleMilliseconds = 1000;
constexpr std::chrono::microseconds kTakenPause{200};

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::limit_exceeded, "socket path " + path + ": " + std::to_string(path.size()) +
                                          " bytes exceed the system's " + std::to_string(sizeof address.sun_path - 1));
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

Result<Fd> stream_socket() {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail(errno_error("make a Unix socket"));
  return fd;
}

// The path becomes part of libvirt's URIs: nothing in it may need an escape.
bool is_plain(std::string_view path) {
  return std::all_of(path.begin(), path.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/_.-").find(c) != std::string_view::npos;
  });
}

Result<std::pair<std::uint32_t, std::uint32_t>> user_ids(const std::string& name) {
  if (name.empty()) return std::pair(static_cast<std::uint32_t>(::geteuid()), static_cast<std::uint32_t>(::getegid()));
  std::vector<char> buffer(16384);
  passwd entry{};
  passwd* found = nullptr;
  ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found == nullptr) return fail(Code::invalid_argument, "setting qemu_user: there is no user " + name);
  return std::pair(static_cast<std::uint32_t>(entry.pw_uid), static_cast<std::uint32_t>(entry.pw_gid));
}

}  // namespace

Result<SessionFolder> SessionFolder::create(const std::string& run_dir, const Uuid& migration,
                                            const std::string& qemu_user, Listener listener) {
  if (run_dir.empty() || run_dir.front() != '/' || !is_plain(run_dir))
    return fail(Code::invalid_argument,
                "run_dir \"" + run_dir + "\": want an absolute path of letters, digits and / _ . -");
  VMSEC_TRY(const auto ids, user_ids(qemu_user));
  std::string name = migration.text();
  std::erase(name, '-');
  const std::string path = run_dir + "/" + name;
  // Sockets of an agent that died in this migration.
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
  if (::mkdir(path.c_str(), 0711) != 0) return fail(errno_error("make folder " + path));
  SessionFolder folder(path, ids.first, ids.second);
  if (::chmod(path.c_str(), 0711) != 0) return fail(errno_error("set mode of " + path));
  const std::string inner = path + "/q";
  if (::mkdir(inner.c_str(), 0700) != 0) return fail(errno_error("make folder " + inner));
  if (listener == Listener::agent && ::chmod(inner.c_str(), 0711) != 0)
    return fail(errno_error("set mode of " + inner));
  if (listener == Listener::qemu && ids.first != ::geteuid() && ::chown(inner.c_str(), ids.first, ids.second) != 0)
    return fail(errno_error("give " + inner + " to " + qemu_user));
  VMSEC_TRY(const auto checked, address_of(folder.data_socket()));
  static_cast<void>(checked);
  return folder;
}

SessionFolder::SessionFolder(SessionFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})), qemu_uid_(other.qemu_uid_), qemu_gid_(other.qemu_gid_) {}

SessionFolder::~SessionFolder() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Status SessionFolder::give_to_qemu(const std::string& path) const {
  if (qemu_uid_ == ::geteuid() || ::chown(path.c_str(), qemu_uid_, qemu_gid_) == 0) return {};
  return fail(errno_error("give " + path + " to QEMU's user"));
}

Result<Fd> listen_on(const std::string& path) {
  VMSEC_TRY(const sockaddr_un address, address_of(path));
  VMSEC_TRY(Fd fd, stream_socket());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(errno_error("listen on " + path));
  if (::chmod(path.c_str(), 0600) != 0) return fail(errno_error("set mode of " + path));
  if (::listen(fd.get(), kBacklog) != 0) return fail(errno_error("listen on " + path));
  VMSEC_CHECK(set_nonblocking(fd));
  return fd;
}

Result<Fd> connect_to(const std::string& path) {
  VMSEC_TRY(const sockaddr_un address, address_of(path));
  VMSEC_TRY(Fd fd, stream_socket());
  const timeval limit{kConnectSeconds, 0};
  const timeval none{0, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(errno_error("connect to " + path, errno, Code::unavailable));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  return fd;
}

Result<std::pair<Fd, Fd>> socket_pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0)
    return fail(errno_error("make a pair of sockets"));
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

Result<Fd> event_descriptor() {
  Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return fail(errno_error("make an event descriptor"));
  return fd;
}

Status set_nonblocking(const Fd& fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return fail(errno_error("make a socket non-blocking"));
  return {};
}

void hang_up(const Fd& fd) {
  ::shutdown(fd.get(), SHUT_RDWR);
  std::vector<char> unread(kReadSize);
  while (::recv(fd.get(), unread.data(), unread.size(), MSG_DONTWAIT) > 0) {
  }
}

Result<PeerProcess> peer_process(const Fd& fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    return fail(errno_error("ask for a socket's peer"));
  return PeerProcess{static_cast<std::uint32_t>(credentials.uid), credentials.pid};
}

short RpcLink::events() const { return static_cast<short>(out_.empty() ? POLLIN : POLLIN | POLLOUT); }

Result<RpcLink::State> RpcLink::receive(const std::function<void(const rpc::Message&)>& each) {
  std::array<char, kReadSize> buffer;
  const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return State::open;
  if (count <= 0) return State::closed;
  framer_.add(std::string_view(buffer.data(), static_cast<std::size_t>(count)));
  while (is_open()) {
    VMSEC_TRY(const auto message, framer_.next());
    if (!message) return State::open;
    each(*message);
  }
  return State::closed;
}

void RpcLink::send(std::string_view bytes) {
  if (!is_open()) return;
  out_ += bytes;
  flush();
}

void RpcLink::flush() {
  while (is_open() && !out_.empty()) {
    const ssize_t count = ::send(fd_.get(), out_.data(), out_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    // Whether the other side is gone shows when it is read from.
    if (count < 0) break;
    out_.erase(0, static_cast<std::size_t>(count));
  }
  if (out_.size() <= kOutLimit) return;
  // Its owner sees the end when it reads.
  if (fd_.valid()) ::shutdown(fd_.get(), SHUT_RDWR);
  out_.clear();
}

bool RpcLink::waits() const {
  if (!is_open() || !out_.empty()) return false;
  pollfd state{fd_.get(), POLLRDHUP, 0};
  return ::poll(&state, 1, 0) == 0;
}

bool RpcLink::taken_within(std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  while (is_open()) {
    flush();
    int unread = 0;  // a Unix socket's SIOCOUTQ is what the other side has not read; after its end it is 0, too
    if (out_.empty() && ::ioctl(fd_.get(), SIOCOUTQ, &unread) == 0 && unread == 0) return waits();
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(kTakenPause);
  }
  return false;
}

void RpcLink::close_gently() {
  flush();
  pollfd waiting{fd_.get(), POLLOUT, 0};
  while (is_open() && !out_.empty() && ::poll(&waiting, 1, kGentleMilliseconds) > 0) {
    const std::size_t before = out_.size();
    flush();
    if (out_.size() == before) break;
  }
  close();
}

}  // namespace vmsec::kvm
