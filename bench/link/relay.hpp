// The relay: accepts, connects onward, and pumps, in one thread.
#pragma once

#include <list>
#include <memory>

#include "pump.hpp"
#include "socket.hpp"

namespace vmsec::link {

struct Route {
  Address listen;
  Address to;
};

class Relay {
 public:
  // Listens on every route; port 0 is a free one.
  static Parsed<std::unique_ptr<Relay>> create(const Shape& shape, const std::vector<Route>& routes, std::size_t most);
  [[nodiscard]] Parsed<std::vector<Address>> listening() const;
  // Until SIGTERM or SIGINT.
  Parsed<int> run();
  // What it carried, as one line of JSON.
  [[nodiscard]] std::string summary() const;

 private:
  struct Listener {
    Socket socket;
    Address to;
  };
  struct Connection {
    Socket near, far;
    std::unique_ptr<Pump> forth, back;
    bool connected = false;
  };
  using Connections = std::list<std::unique_ptr<Connection>>;

  Relay(const Shape& shape, std::size_t most) : shape_(shape), most_(most), forth_(shape), back_(shape) {}
  bool watch(int fd, void* who, std::uint32_t events);
  void note(const void* who);
  bool accept_one(Listener& listener);  // false: nobody waits
  void accept_all();
  static bool connect_failed(const Connection& connection);
  [[nodiscard]] bool is_connecting() const;
  void pump_all();
  bool pump_once(Time now);
  void drop(Connections::iterator connection);
  [[nodiscard]] Time next_wake() const;
  void arm_timer();

  Shape shape_;
  std::size_t most_;
  Wire forth_, back_;
  Socket epoll_, timer_, signals_;
  std::list<Listener> listeners_;
  Connections connections_;
  std::uint64_t accepted_ = 0, refused_ = 0, bytes_forth_ = 0, bytes_back_ = 0, losses_ = 0;
  bool stopping_ = false;
};

}  // namespace vmsec::link
