// Serves a Control on a Unix socket: one thread per connection.
#pragma once

#include <memory>
#include <string>

#include "rpc/connection_threads.hpp"
#include "vmsec/control.hpp"
#include "vmsec/export.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::rpc {

// Answers whoever runs as root or as this process's user (SO_PEERCRED); others
// are told so and disconnected, and so is who sends what is no frame. `control`
// outlives the server.
class VMSEC_EXPORT AgentServer {
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
