#include "relay.hpp"

#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace vmsec::link {
namespace {

constexpr int kBuffer = 256 << 10;  // of a socket: what waits there waits beside the model
constexpr std::uint32_t kStream = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

Time now_is() { return std::chrono::time_point_cast<Duration>(Clock::now()); }

Socket signals_of_the_end() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  return Socket(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

// The peer learns at once that there is nobody, as from a host without a listener.
void reset(const Socket& socket) {
  const linger at_once{1, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

}  // namespace

Parsed<std::unique_ptr<Relay>> Relay::create(const Shape& shape, const std::vector<Route>& routes, std::size_t most) {
  std::unique_ptr<Relay> relay(new Relay(shape, most));
  relay->epoll_ = Socket(::epoll_create1(EPOLL_CLOEXEC));
  relay->timer_ = Socket(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  relay->signals_ = signals_of_the_end();
  if (!relay->watch(relay->timer_.get(), &relay->timer_, EPOLLIN) ||
      !relay->watch(relay->signals_.get(), &relay->signals_, EPOLLIN))
    return std::unexpected(std::string("epoll: ") + std::strerror(errno));
  const int buffer = shape.rate == 0 ? 0 : kBuffer;
  for (const Route& route : routes) {
    auto socket = listen_on(route.listen, buffer);
    if (!socket) return std::unexpected(socket.error());
    auto& listener = relay->listeners_.emplace_back(Listener{std::move(*socket), route.to});
    relay->watch(listener.socket.get(), &listener, EPOLLIN | EPOLLET);
  }
  return relay;
}

Parsed<std::vector<Address>> Relay::listening() const {
  std::vector<Address> all;
  for (const Listener& listener : listeners_) {
    auto address = address_of(listener.socket);
    if (!address) return std::unexpected(address.error());
    all.push_back(*address);
  }
  return all;
}

bool Relay::watch(int fd, void* who, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = who;
  return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

Parsed<int> Relay::run() {
  while (!stopping_) {
    arm_timer();
    epoll_event events[64];
    const int count = ::epoll_wait(epoll_.get(), events, 64, -1);
    if (count < 0 && errno != EINTR) return std::unexpected(std::string("epoll: ") + std::strerror(errno));
    for (int i = 0; i < count; ++i) note(events[i].data.ptr);
    accept_all();
    pump_all();
  }
  return 0;
}

// An edge says that something happened to one of a connection's sockets; both are tried.
void Relay::note(const void* who) {
  if (who == &signals_) stopping_ = true;
  if (who == &timer_) {
    std::uint64_t expirations = 0;
    static_cast<void>(!::read(timer_.get(), &expirations, sizeof expirations));
  }
  for (auto& connection : connections_) {
    if (connection.get() != who) continue;
    connection->connected = connection->connected || is_connected(connection->far);
    connection->forth->stir();
    connection->back->stir();
  }
}

bool Relay::is_connecting() const {
  for (const auto& connection : connections_)
    if (!connection->connected) return true;
  return false;
}

// One at a time: the other side sees connections in the order in which they came, which QEMU relies on.
void Relay::accept_all() {
  for (Listener& listener : listeners_)
    while (!is_connecting() && accept_one(listener)) {
    }
}

bool Relay::accept_one(Listener& listener) {
  Socket near(::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (near.get() < 0) return false;
  use_no_delay(near);
  auto far = begin_connect(listener.to, shape_.rate == 0 ? 0 : kBuffer);
  if (connections_.size() >= most_ || !far) {
    std::fprintf(stderr, "vmsec-link: refused a connection: %s\n", far ? "there are too many" : far.error().c_str());
    ++refused_;
    reset(near);
    return true;
  }
  ++accepted_;
  auto& connection = *connections_.emplace_back(std::make_unique<Connection>());
  connection.near = std::move(near);
  connection.far = std::move(*far);
  const Time begin = now_is() + shape_.round_trip();
  connection.forth = std::make_unique<Pump>(connection.near.get(), connection.far.get(), shape_, 2 * accepted_, begin);
  connection.back =
      std::make_unique<Pump>(connection.far.get(), connection.near.get(), shape_, 2 * accepted_ + 1, begin);
  watch(connection.near.get(), &connection, kStream);
  watch(connection.far.get(), &connection, kStream);
  return true;
}

bool Relay::connect_failed(const Connection& connection) {
  if (connection.connected) return false;
  const int error = connect_error(connection.far);
  if (error != 0) std::fprintf(stderr, "vmsec-link: connect onward: %s\n", std::strerror(error));
  return error != 0;
}

bool Relay::pump_once(Time now) {
  bool moved = false;
  for (auto each = connections_.begin(); each != connections_.end();) {
    const auto it = each++;
    Connection& connection = **it;
    const bool failed = connect_failed(connection);
    if (connection.connected) {
      const bool forth = connection.forth->step(forth_, now), back = connection.back->step(back_, now);
      moved = moved || forth || back;
    }
    if (failed || connection.forth->is_cut() || connection.back->is_cut())
      reset(connection.near), reset(connection.far);
    if (failed || (connection.forth->is_over() && connection.back->is_over())) {
      drop(it);
      accept_all();
    }
  }
  if (connections_.size() > 1) connections_.splice(connections_.end(), connections_, connections_.begin());
  return moved;
}

void Relay::pump_all() {
  for (int passes = 0; passes < 64; ++passes)
    if (!pump_once(now_is())) return;
}

void Relay::drop(Connections::iterator connection) {
  bytes_forth_ += (*connection)->forth->bytes();
  bytes_back_ += (*connection)->back->bytes();
  losses_ += (*connection)->forth->losses() + (*connection)->back->losses();
  connections_.erase(connection);
}

Time Relay::next_wake() const {
  Time next = kNever;
  for (const auto& connection : connections_) {
    if (!connection->connected) continue;
    next = std::min(next, connection->forth->wakes(forth_));
    next = std::min(next, connection->back->wakes(back_));
  }
  return next;
}

void Relay::arm_timer() {
  const Time next = next_wake();
  itimerspec when{};
  if (next != kNever) {
    const auto wait = std::max<std::int64_t>(1, (next - now_is()).count());
    when.it_value = {wait / 1'000'000'000, wait % 1'000'000'000};
  }
  ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

std::string Relay::summary() const {
  std::uint64_t forth = bytes_forth_, back = bytes_back_, losses = losses_;
  for (const auto& connection : connections_) {
    forth += connection->forth->bytes();
    back += connection->back->bytes();
    losses += connection->forth->losses() + connection->back->losses();
  }
  return "{\"connections\": " + std::to_string(accepted_) + ", \"refused\": " + std::to_string(refused_) +
         ", \"bytes_forth\": " + std::to_string(forth) + ", \"bytes_back\": " + std::to_string(back) +
         ", \"losses\": " + std::to_string(losses) + "}";
}

}  // namespace vmsec::link
