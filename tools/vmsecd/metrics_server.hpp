// Serves /metrics over HTTP, to whoever can reach the address: no authentication, no encryption.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "vmsec/result.hpp"

struct MHD_Daemon;

namespace vmsec::daemon {

class MetricsServer {
 public:
  // Called for each request, one at a time, on a thread of the server's. An error is told as "503".
  using Text = std::function<Result<std::string>()>;

  // "127.0.0.1:9464", "[::1]:9464", ":9464" for every address; port 0: any. `invalid_argument` for what is no numeric
  // address and port, `unavailable` where it is taken.
  static Result<std::unique_ptr<MetricsServer>> start(const std::string& address, Text text);
  ~MetricsServer();  // ends what is under way
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;

 private:
  explicit MetricsServer(Text text) : text_(std::move(text)) {}

  Text text_;
  MHD_Daemon* daemon_ = nullptr;
};

}  // namespace vmsec::daemon
