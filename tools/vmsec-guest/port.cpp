#include "port.hpp"

#include <poll.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "vmsec/guest_frame.hpp"

namespace vmsec::guest {
namespace {

constexpr int kRestMs = 100;  // a virtio port cannot be waited on for somebody to come

enum class Came { ready, hung_up };

Result<Came> wait(const Fd& port, short events) {
  while (true) {
    pollfd poll{port.get(), events, 0};
    if (::poll(&poll, 1, -1) < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("wait for the port"));
    }
    if ((poll.revents & events) != 0) return Came::ready;
    return Came::hung_up;
  }
}

// Nothing: the other end is gone.
Result<std::string> read_some(const Fd& port) {
  std::array<char, 65536> buffer;
  while (true) {
    VMSEC_TRY(const Came came, wait(port, POLLIN));
    if (came == Came::hung_up) return std::string();
    const ssize_t count = ::read(port.get(), buffer.data(), buffer.size());
    if (count >= 0) return std::string(buffer.data(), static_cast<std::size_t>(count));
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == ECONNRESET || errno == EPIPE) return std::string();
    return fail(errno_error("read from the port"));
  }
}

// An answer that nobody waits for is given up: who asks again finds the start of the next one.
Status write_all(const Fd& port, std::string_view bytes) {
  while (!bytes.empty()) {
    VMSEC_TRY(const Came came, wait(port, POLLOUT));
    if (came == Came::hung_up) return {};
    const ssize_t count = ::write(port.get(), bytes.data(), bytes.size());
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (count < 0 && (errno == ECONNRESET || errno == EPIPE)) return {};
    if (count < 0) return fail(errno_error("write to the port"));
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

// What is too long is dropped, and the next frame is looked for: the host is told nothing, and asks in vain.
std::optional<GuestFrame> next_frame(GuestFrameReader& reader) {
  while (true) {
    auto frame = reader.next();
    if (frame) return std::move(*frame);
  }
}

}  // namespace

Result<std::string> find_port(std::string_view name, const std::string& ports) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(ports, ignored)) {
    std::string line;
    std::ifstream file(entry.path() / "name");
    if (std::getline(file, line) && line == name) return "/dev/" + entry.path().filename().string();
  }
  return fail(Code::not_found, "this guest has no serial port " + std::string(name));
}

Result<Fd> open_port(const std::string& path) {
  Fd port(::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!port.valid()) return fail(errno_error("open port " + path));
  return port;
}

Status serve(const Fd& port, Hangup hangup, const std::function<std::string(std::string_view)>& answer,
             const std::function<bool()>& done) {
  GuestFrameReader reader;
  while (true) {
    VMSEC_TRY(const auto bytes, read_some(port));
    if (bytes.empty()) {
      if (hangup == Hangup::end) return {};
      reader = GuestFrameReader();
      ::poll(nullptr, 0, kRestMs);
      continue;
    }
    reader.add(bytes);
    while (const auto frame = next_frame(reader)) {
      VMSEC_CHECK(write_all(port, guest_frame::encode({frame->number, answer(frame->payload)})));
      if (done()) return {};
    }
  }
}

}  // namespace vmsec::guest
