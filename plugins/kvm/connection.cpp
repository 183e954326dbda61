#include "connection.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "event_loop.hpp"

namespace vmsec::kvm {
namespace {

using namespace std::chrono_literals;

constexpr int kKeepaliveSeconds = 5;
constexpr unsigned int kKeepaliveMisses = 3;
constexpr auto kFirstBackoff = 100ms;
constexpr auto kLongestBackoff = 2000ms;
constexpr auto kLeaseWait = 3s;

const char* text_of(int reason) {
  switch (reason) {
    case VIR_CONNECT_CLOSE_REASON_EOF:
      return "libvirtd closed the connection";
    case VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
      return "libvirtd no longer answers";
    case VIR_CONNECT_CLOSE_REASON_CLIENT:
      return "the connection was closed here";
    default:
      return "the connection to libvirtd broke";
  }
}

}  // namespace

// No lock of ours is held while libvirt is called, and no connection is dropped
// under one: libvirt calls on_close() with a lock of its own held.
struct Connection::State {
  explicit State(std::string its_uri) : uri(std::move(its_uri)) {}

  const std::string uri;
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<virConnect> current;
  std::uint64_t generation = 0;
  bool alive = false;
  bool stop = false;
  bool finished = false;  // the thread's last act
  bool wanted = false;    // a caller waits: do not sit out the back-off
  std::uint64_t attempts_begun = 0;
  std::uint64_t attempts_done = 0;
  std::string reason;  // why it is not alive

  std::mutex watchers_mutex;  // taken before `mutex`
  std::vector<std::weak_ptr<ConnectionWatcher>> watchers;

  void mark_lost(const virConnect* which, const char* why) {
    const std::lock_guard lock(mutex);
    if (!alive || current.get() != which) return;
    alive = false;
    reason = why;
    changed.notify_all();
  }

  // A connection that ended before it became `current` was not marked by its callback.
  void check() {
    std::unique_lock lock(mutex);
    const std::shared_ptr<virConnect> connect = current;
    lock.unlock();
    if (connect != nullptr && virConnectIsAlive(connect.get()) != 1)
      mark_lost(connect.get(), text_of(VIR_CONNECT_CLOSE_REASON_EOF));
  }

  template <class Visit>
  void tell(Visit&& visit) {
    const std::lock_guard lock(watchers_mutex);
    std::erase_if(watchers, [](const auto& watcher) { return watcher.expired(); });
    for (const auto& each : watchers) {
      if (const auto watcher = each.lock()) visit(*watcher);
    }
  }
};

void Connection::on_close(virConnectPtr connect, int reason, void* opaque) {
  if (const auto state = static_cast<std::weak_ptr<State>*>(opaque)->lock()) state->mark_lost(connect, text_of(reason));
}

Result<std::shared_ptr<virConnect>> Connection::dial(const std::shared_ptr<State>& state) {
  virConnectPtr raw = virConnectOpen(state->uri.c_str());
  if (raw == nullptr) {
    Error error = virt_error("connect to " + state->uri);
    // Whatever libvirt calls it: nobody who listens there is no mistake of this call.
    if (error.code == Code::io || error.code == Code::internal) error.code = Code::unavailable;
    return fail(std::move(error));
  }
  // What the close callback is given lives until it is unregistered. Not freed by libvirt, which forgets it for a
  // driver inside of this process.
  const auto weak = std::make_shared<std::weak_ptr<State>>(state);
  std::shared_ptr<virConnect> connect(raw, [weak](virConnectPtr each) {
    virConnectUnregisterCloseCallback(each, on_close);
    virConnectClose(each);
  });
  if (virConnectRegisterCloseCallback(raw, on_close, weak.get(), nullptr) < 0)
    return fail(virt_error("watch the connection to " + state->uri));
  // A driver inside of this process needs none, and says so.
  if (virConnectSetKeepAlive(raw, kKeepaliveSeconds, kKeepaliveMisses) < 0) {
    const Error error = virt_error("keep the connection to " + state->uri + " alive");
    if (error.code != Code::unsupported) return fail(error);
  }
  return connect;
}

Result<std::shared_ptr<Connection>> Connection::open(const std::string& uri) {
  VMSEC_CHECK(start_event_loop());
  auto state = std::make_shared<State>(uri);
  VMSEC_TRY(auto first, dial(state));
  state->current = std::move(first);
  state->alive = true;
  state->generation = 1;
  state->check();
  std::thread(keep_connected, state).detach();
  return std::shared_ptr<Connection>(new Connection(std::move(state)));
}

Connection::Connection(std::shared_ptr<State> state) : state_(std::move(state)) {}

Connection::~Connection() {
  std::shared_ptr<virConnect> last;
  std::unique_lock lock(state_->mutex);
  state_->stop = true;
  state_->alive = false;
  last = std::move(state_->current);
  state_->changed.notify_all();
  // Not for ever: it may sit in a connect() to a libvirtd that hangs. It owns
  // what it uses.
  state_->changed.wait_for(lock, 2s, [&] { return state_->finished; });
  lock.unlock();
}

void Connection::keep_connected(const std::shared_ptr<State>& state) {
  auto backoff = kFirstBackoff;
  bool told = false;
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->stop || !state->alive; });
    if (state->stop) break;
    std::shared_ptr<virConnect> dead = std::move(state->current);
    const std::string reason = state->reason;
    ++state->attempts_begun;
    state->wanted = false;
    lock.unlock();
    dead.reset();
    if (!told) state->tell([&](ConnectionWatcher& watcher) { watcher.lost(reason); });
    told = true;
    auto fresh = dial(state);
    lock.lock();
    ++state->attempts_done;
    if (state->stop) break;
    if (!fresh) {
      state->reason = fresh.error().message;
      state->changed.notify_all();
      // A short rest even where callers wait: they come in a loop.
      const auto rest = std::chrono::steady_clock::now() + kFirstBackoff / 2;
      const auto end = std::chrono::steady_clock::now() + backoff;
      state->changed.wait_until(lock, rest, [&] { return state->stop; });
      state->changed.wait_until(lock, end, [&] { return state->stop || state->wanted; });
      backoff = std::min(backoff * 2, std::chrono::milliseconds(kLongestBackoff));
      continue;
    }
    state->current = std::move(*fresh);
    ++state->generation;
    state->alive = true;
    const ConnectionLease lease(state->current, state->generation);
    state->changed.notify_all();
    lock.unlock();
    state->tell([&](ConnectionWatcher& watcher) { watcher.connected(lease); });
    state->check();
    backoff = kFirstBackoff;
    told = false;
    lock.lock();
  }
  state->finished = true;
  state->changed.notify_all();
}

Result<ConnectionLease> Connection::lease() const {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  if (state.alive) {
    ConnectionLease lease(state.current, state.generation);
    lock.unlock();
    if (virConnectIsAlive(lease.get()) == 1) return lease;
    // The close callback comes later than the end of file.
    state.mark_lost(lease.get(), "libvirtd closed the connection");
    lock.lock();
  }
  // One attempt that begins after now decides.
  const std::uint64_t attempt = state.attempts_begun + 1;
  state.wanted = true;
  state.changed.notify_all();
  state.changed.wait_for(lock, kLeaseWait, [&] { return state.stop || state.alive || state.attempts_done >= attempt; });
  if (state.alive) return ConnectionLease(state.current, state.generation);
  return fail(Code::unavailable, "no connection to " + state.uri + ": " + state.reason);
}

Result<DomainPtr> Connection::domain(const Uuid& uuid, std::string_view operation) const {
  const auto found = lease();
  if (!found) return fail(found.error().in(operation));
  DomainPtr domain(virDomainLookupByUUID(found->get(), uuid.bytes().data()));
  if (!domain) return fail(virt_error(operation));
  return domain;
}

void Connection::watch(const std::weak_ptr<ConnectionWatcher>& watcher) const {
  const std::lock_guard watchers_lock(state_->watchers_mutex);
  state_->watchers.push_back(watcher);
  std::unique_lock lock(state_->mutex);
  if (!state_->alive) return;
  const ConnectionLease lease(state_->current, state_->generation);
  lock.unlock();
  if (const auto now = watcher.lock()) now->connected(lease);
}

const std::string& Connection::uri() const { return state_->uri; }

}  // namespace vmsec::kvm
