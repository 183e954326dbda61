// A wire between two ends of suite `tls` whose records the test holds in its hand.
#pragma once

#include <functional>
#include <thread>
#include <vector>

#include "stream_testing.hpp"

namespace vmsec::migration::test {

inline constexpr unsigned char kApplicationData = 23;  // also what a handshake's encrypted part looks like

// One TLS record, header and all; empty when the connection ended, wherever that was.
inline std::string read_tls_record(const Fd& fd) {
  const std::string header = read_text(fd, 5);
  if (header.size() < 5) return {};
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(header[at])); };
  const std::size_t size = byte(3) << 8 | byte(4);
  std::string body = read_text(fd, size);
  return body.size() == size ? header + body : std::string();
}

// Carries records from the source to the destination, and bytes back. Of each record of encrypted data behind the
// handshake `change` says what goes on instead, by its number from 0; nullopt cuts the wire.
class TlsTap {
 public:
  using Change = std::function<std::optional<std::vector<std::string>>(std::size_t number, const std::string& record)>;

  TlsTap(End& source, End& destination, Change change, const std::string& source_key = "one",
         const std::string& destination_key = "one")
      : change_(std::move(change)) {
    SocketPair left, right;
    near_ = std::move(left.b);
    far_ = std::move(right.a);
    forth_ = std::thread([this] { carry_forth(); });
    back_ = std::thread([this] { carry_back(); });
    source.join(std::move(left.a), source_key);
    destination.join(std::move(right.b), destination_key, ChannelKind::main, 0, Side::destination);
  }
  ~TlsTap() {
    ::shutdown(near_.get(), SHUT_RDWR);
    ::shutdown(far_.get(), SHUT_RDWR);
    forth_.join();
    back_.join();
  }
  TlsTap(const TlsTap&) = delete;
  TlsTap& operator=(const TlsTap&) = delete;

 private:
  bool send(const std::string& bytes) const {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::send(far_.get(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (count <= 0) return false;
      done += static_cast<std::size_t>(count);
    }
    return true;
  }
  void carry_forth() {
    std::size_t encrypted = 0;  // the first is the client's Finished
    for (std::string record = read_tls_record(near_); !record.empty(); record = read_tls_record(near_)) {
      const bool data = static_cast<unsigned char>(record[0]) == kApplicationData && encrypted++ > 0;
      const auto out = data ? change_(encrypted - 2, record) : std::vector{record};
      if (!out) break;
      for (const std::string& each : *out)
        if (!send(each)) return;
    }
    ::shutdown(far_.get(), SHUT_WR);
  }
  void carry_back() const {
    std::vector<char> buffer(65536);
    for (ssize_t count = 1; count > 0;) {
      count = ::recv(far_.get(), buffer.data(), buffer.size(), 0);
      if (count > 0 && ::send(near_.get(), buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) != count)
        break;
    }
    ::shutdown(near_.get(), SHUT_WR);
  }

  Change change_;
  Fd near_, far_;
  std::thread forth_, back_;
};

}  // namespace vmsec::migration::test
