// Serves a Control on a Unix socket: one thread per connection.
#pragma once

#include <memory>
#include <string>

#include "rpc/connection_threads.hpp"
#include "vmsec/control.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::rpc {

// Answers whoever runs as root or as this process's user (SO_PEERCRED); others
// are disconnected. `control` outlives the server.
class AgentServer {
 public:
  static Result<std::unique_ptr<AgentServer>> start(Control& control, const std::string& socket_path);
  ~AgentServer();

 private:
  AgentServer(Control& control, std::string path, Fd listener);
  void accept_loop();
  void serve(int socket);

  Control& control_;
  std::string path_;
  Fd listener_;
  ConnectionThreads connections_;
  std::thread acceptor_;
};

}  // namespace vmsec::rpc
