#include "channel/listener.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>

#include "channel/address.hpp"

namespace vmsec::channel {

struct Listener::Impl {
  TlsContext context;
  Fd socket;
  Fd wake;  // an eventfd: stop()
  std::string address;
  Handler handler;
  Refused refused;
  ListenerOptions options;

  std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  std::uint32_t handshakes = 0;
  std::uint32_t connections = 0;
  std::list<int> strangers;  // sockets in a handshake: stop() ends them
  struct Worker {
    std::thread thread;
    bool done = false;
  };
  std::list<Worker> workers;  // the acceptor's, and stop()'s after it
  std::thread acceptor;

  void accept_all();
  bool wait_for_room();
  void join_finished();
  void start_one(Fd stranger);
  void serve(Fd stranger, Worker& worker);
  Result<std::unique_ptr<TlsConnection>> authenticate(Fd stranger);
};

// False: it is time to stop.
bool Listener::Impl::wait_for_room() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] {
    return stopping || (handshakes < options.max_handshakes && handshakes + connections < options.max_connections);
  });
  return !stopping;
}

void Listener::Impl::accept_all() {
  while (true) {
    pollfd entries[] = {{socket.get(), POLLIN, 0}, {wake.get(), POLLIN, 0}};
    if (::poll(entries, 2, -1) < 0 && errno != EINTR) return;
    if ((entries[1].revents & POLLIN) != 0 || !wait_for_room()) return;
    join_finished();
    Fd stranger(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (stranger.valid()) {
      start_one(std::move(stranger));
      continue;
    }
    // Out of descriptors or memory: the stranger stays in the backlog. Do not spin.
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) ::poll(&entries[1], 1, 100);
  }
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

void Listener::Impl::start_one(Fd stranger) {
  const std::lock_guard lock(mutex);
  Worker& worker = workers.emplace_back();
  try {
    worker.thread = std::thread([this, &worker, fd = std::move(stranger)]() mutable { serve(std::move(fd), worker); });
    ++handshakes;
  } catch (const std::system_error&) {  // no more threads: the stranger is turned away
    workers.pop_back();
  }
}

Result<std::unique_ptr<TlsConnection>> Listener::Impl::authenticate(Fd stranger) {
  std::list<int>::iterator place;
  // Our own copy: stop() may end the handshake by it, and never touch a number
  // that meanwhile belongs to another file.
  auto copy = stranger.duplicate();
  if (!copy) return fail(copy.error());
  {
    const std::lock_guard lock(mutex);
    if (stopping) return fail(Code::cancelled, "the listener stops");
    place = strangers.insert(strangers.end(), copy->get());
  }
  auto connection = TlsConnection::accept(context, std::move(stranger), options.handshake_timeout);
  const std::lock_guard lock(mutex);
  strangers.erase(place);
  return connection;
}

void Listener::Impl::serve(Fd stranger, Worker& worker) {
  const std::string from = remote_address(stranger.get());
  auto connection = authenticate(std::move(stranger));
  bool admitted = false;
  {
    const std::lock_guard lock(mutex);
    --handshakes;
    admitted = connection.has_value() && !stopping;
    ++connections;
    changed.notify_all();
  }
  if (admitted)
    handler(std::move(*connection));
  else if (!connection && refused && connection.error().code != Code::cancelled)
    refused(from, connection.error());
  const std::lock_guard lock(mutex);
  --connections;
  worker.done = true;
  changed.notify_all();
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
    for (const int fd : impl_->strangers) ::shutdown(fd, SHUT_RDWR);
  }
  const std::uint64_t one = 1;
  if (::write(impl_->wake.get(), &one, sizeof one) < 0 && errno != EAGAIN) return;
  impl_->changed.notify_all();
  if (impl_->acceptor.joinable()) impl_->acceptor.join();
  impl_->socket.reset();
  for (auto& worker : impl_->workers) {
    if (worker.thread.joinable()) worker.thread.join();
  }
}

}  // namespace vmsec::channel
