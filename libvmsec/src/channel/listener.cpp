#include "channel/listener.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "channel/address.hpp"
#include "channel/lobby.hpp"

namespace vmsec::channel {

struct Listener::Impl {
  TlsContext context;
  Fd socket;
  Fd wake;  // an eventfd: stop(), or a place became free
  std::string address;
  Handler handler;
  Refused refused;
  ListenerOptions options;

  struct Handshake {
    int socket;  // our own copy
    std::string origin;
    Stranger::Time since;
    bool ended = false;  // by us
  };
  std::mutex mutex;
  bool stopping = false;
  std::uint32_t handshakes = 0;
  std::uint32_t connections = 0;
  std::list<Handshake> under_way;  // the oldest first: stop() and the impatient end them
  std::map<std::string, std::uint32_t> by_origin;
  std::map<std::string, std::uint32_t> by_peer;
  struct Worker {
    std::thread thread;
    bool done = false;
  };
  std::list<Worker> workers;  // the acceptor's, and stop()'s after it
  std::thread acceptor;

  void accept_all();
  bool wait_for_news(Lobby& lobby);
  void take_in(Lobby& lobby);
  void start_ready(Lobby& lobby);
  Handshake* slowest();
  void end_slowest();
  std::optional<Stranger::Time> patience_ends();
  void turn_away(const Stranger& stranger, Error error) const;
  void join_finished();
  void start_one(Stranger stranger);
  void serve(Stranger stranger, Worker& worker);
  Status enlist(const TlsConnection& connection);
  void leave(const std::string& peer);
  Result<std::unique_ptr<TlsConnection>> authenticate(Stranger stranger);
  void poke() const;
};

void Listener::Impl::poke() const {
  const std::uint64_t one = 1;
  std::ignore = ::write(wake.get(), &one, sizeof one);  // EAGAIN: it is set already
}

void Listener::Impl::accept_all() {
  Lobby lobby(options.max_strangers);
  while (wait_for_news(lobby)) {
    join_finished();
    take_in(lobby);
    for (const auto& late : lobby.expire(std::chrono::steady_clock::now()))
      turn_away(late, {Code::timeout,
                       late.speaks ? "no place for its handshake became free in time" : "it said nothing in time",
                       0,
                       {}});
    start_ready(lobby);
  }
}

// False: it is time to stop.
bool Listener::Impl::wait_for_news(Lobby& lobby) {
  std::vector<pollfd> entries = lobby.silent();
  const std::size_t silent = entries.size();
  entries.push_back({socket.get(), POLLIN, 0});
  entries.push_back({wake.get(), POLLIN, 0});
  auto deadline = lobby.first_deadline();
  if (lobby.somebody_speaks()) {
    if (const auto ends = patience_ends()) deadline = std::min(deadline.value_or(*ends), *ends);
  }
  int milliseconds = -1;
  if (deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
    milliseconds = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 3'600'000));
  }
  if (::poll(entries.data(), entries.size(), milliseconds) < 0 && errno != EINTR) return false;
  std::uint64_t count = 0;
  std::ignore = ::read(wake.get(), &count, sizeof count);
  entries.resize(silent);
  lobby.hear(entries);
  const std::lock_guard lock(mutex);
  return !stopping;
}

void Listener::Impl::take_in(Lobby& lobby) {
  while (true) {
    Fd stranger(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!stranger.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      // Out of descriptors or memory: the stranger stays in the backlog. Do not spin.
      if (errno != EAGAIN) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      return;
    }
    std::string from = remote_address(stranger.get());
    std::string origin = origin_of(stranger.get());
    auto loser = lobby.enter({std::move(stranger), std::move(from), std::move(origin),
                              deadline_in(options.first_byte_timeout), deadline_in(options.handshake_timeout)});
    if (loser) turn_away(*loser, {Code::limit_exceeded, "too many wait for a handshake", 0, {}});
  }
}

void Listener::Impl::start_ready(Lobby& lobby) {
  while (lobby.somebody_speaks()) {
    std::optional<Stranger> next;
    {
      const std::lock_guard lock(mutex);
      if (handshakes < options.max_handshakes && handshakes + connections < options.max_connections)
        next = lobby.next(by_origin, std::max(1u, options.max_handshakes / 2));
    }
    if (!next) return end_slowest();
    start_one(std::move(*next));
  }
}

// With the lock held: whose turn to be ended it is, once it has taken too long.
Listener::Impl::Handshake* Listener::Impl::slowest() {
  if (handshakes < options.max_handshakes || by_origin.empty()) return nullptr;
  const auto most = std::ranges::max_element(by_origin, {}, [](const auto& each) { return each.second; });
  const auto found =
      std::ranges::find_if(under_way, [&](const Handshake& each) { return !each.ended && each.origin == most->first; });
  return found == under_way.end() ? nullptr : &*found;
}

std::optional<Stranger::Time> Listener::Impl::patience_ends() {
  const std::lock_guard lock(mutex);
  const Handshake* const slow = slowest();
  if (slow == nullptr) return std::nullopt;
  return slow->since + std::chrono::microseconds(options.patience.value);
}

void Listener::Impl::end_slowest() {
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex);
  Handshake* const slow = slowest();
  if (slow == nullptr || slow->since + std::chrono::microseconds(options.patience.value) > now) return;
  slow->ended = true;
  ::shutdown(slow->socket, SHUT_RDWR);
}

void Listener::Impl::turn_away(const Stranger& stranger, Error error) const {
  if (refused) refused(stranger.address, error);
}

void Listener::Impl::join_finished() {
  std::list<Worker> finished;
  {
    const std::lock_guard lock(mutex);
    for (auto at = workers.begin(); at != workers.end();) {
      const auto next = std::next(at);
      if (at->done) finished.splice(finished.end(), workers, at);
      at = next;
    }
  }
  for (auto& worker : finished) worker.thread.join();
}

void Listener::Impl::start_one(Stranger stranger) {
  const std::lock_guard lock(mutex);
  Worker& worker = workers.emplace_back();
  const std::string origin = stranger.origin;
  try {
    worker.thread =
        std::thread([this, &worker, one = std::move(stranger)]() mutable { serve(std::move(one), worker); });
    ++handshakes;
    ++by_origin[origin];
  } catch (const std::system_error&) {  // no more threads: the stranger is turned away
    workers.pop_back();
  }
}

Result<std::unique_ptr<TlsConnection>> Listener::Impl::authenticate(Stranger stranger) {
  std::list<Handshake>::iterator place;
  // Our own copy: stop() may end the handshake by it, and never touch a number
  // that meanwhile belongs to another file.
  auto copy = stranger.socket.duplicate();
  if (!copy) return fail(copy.error());
  const auto now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(mutex);
    if (stopping) return fail(Code::cancelled, "the listener stops");
    place = under_way.insert(under_way.end(), {copy->get(), stranger.origin, now});
  }
  poke();  // whoever waits for a place waits for this one's patience now
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(stranger.ready_by - now).count();
  const Microseconds timeout{static_cast<std::uint64_t>(std::max<std::int64_t>(left, 1))};
  auto connection = TlsConnection::accept(context, std::move(stranger.socket), timeout);
  const std::lock_guard lock(mutex);
  const bool ended = place->ended;
  under_way.erase(place);
  if (ended && !connection)
    return fail(Code::timeout, "its handshake was ended after " + std::to_string(options.patience.value / 1000) +
                                   " ms, as others waited");
  return connection;
}

// With the lock held: counts the peer in, if it may have one more.
Status Listener::Impl::enlist(const TlsConnection& connection) {
  std::uint32_t& open = by_peer[connection.peer_name()];
  if (open >= options.max_of_one_peer)
    return fail(Code::limit_exceeded, "host " + connection.peer_name() + " has " + std::to_string(open) +
                                          " connections open already, the most that one host may");
  ++open;
  return {};
}

void Listener::Impl::leave(const std::string& peer) {
  const auto found = by_peer.find(peer);
  if (found != by_peer.end() && --found->second == 0) by_peer.erase(found);
}

void Listener::Impl::serve(Stranger stranger, Worker& worker) {
  const std::string from = stranger.address;
  const std::string origin = stranger.origin;
  auto connection = authenticate(std::move(stranger));
  std::string peer;
  {
    const std::lock_guard lock(mutex);
    --handshakes;
    if (--by_origin[origin] == 0) by_origin.erase(origin);
    if (connection && stopping) connection = fail(Code::cancelled, "the listener stops");
    if (connection) {
      const Status enlisted = enlist(**connection);
      if (enlisted) peer = (*connection)->peer_name();
      if (!enlisted) connection = fail(enlisted.error());
    }
    ++connections;
  }
  poke();
  if (connection)
    handler(std::move(*connection));
  else if (refused && connection.error().code != Code::cancelled)
    refused(from, connection.error());
  {
    const std::lock_guard lock(mutex);
    --connections;
    if (!peer.empty()) leave(peer);
    worker.done = true;
  }
  poke();
}

Result<std::unique_ptr<Listener>> Listener::start(const TlsContext& context, std::string_view address, Handler handler,
                                                  Refused refused, const ListenerOptions& options) {
  VMSEC_TRY(Fd socket, listen_at(address));
  return start(context, std::move(socket), std::move(handler), std::move(refused), options);
}

Result<std::unique_ptr<Listener>> Listener::start(const TlsContext& context, Fd listening, Handler handler,
                                                  Refused refused, const ListenerOptions& options) {
  VMSEC_CHECK(set_blocking(listening.get(), Blocking::no));
  auto impl = std::make_unique<Impl>();
  impl->wake = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl->wake.valid()) return fail(errno_error("make eventfd"));
  impl->context = context;
  impl->address = local_address(listening.get());
  impl->socket = std::move(listening);
  impl->handler = std::move(handler);
  impl->refused = std::move(refused);
  impl->options = options;
  impl->acceptor = std::thread([raw = impl.get()] { raw->accept_all(); });
  return std::unique_ptr<Listener>(new Listener(std::move(impl)));
}

Listener::Listener(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Listener::~Listener() { stop(); }

const std::string& Listener::address() const { return impl_->address; }

void Listener::stop() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    for (const auto& each : impl_->under_way) ::shutdown(each.socket, SHUT_RDWR);
  }
  impl_->poke();
  if (impl_->acceptor.joinable()) impl_->acceptor.join();
  impl_->socket.reset();
  for (auto& worker : impl_->workers) {
    if (worker.thread.joinable()) worker.thread.join();
  }
}

}  // namespace vmsec::channel
