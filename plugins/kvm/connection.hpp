// One connection to one libvirtd, which may die and come back.
#pragma once

#include <libvirt/libvirt.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "virt_error.hpp"
#include "vmsec/types.hpp"

namespace vmsec::kvm {

struct DomainFree {
  void operator()(virDomainPtr domain) const { virDomainFree(domain); }
};
// A domain handle keeps its libvirt connection alive on its own.
using DomainPtr = std::unique_ptr<virDomain, DomainFree>;

// The connection as it is now. Valid as long as it is kept; after libvirtd died
// calls through it fail as `unavailable`, and the next lease is of a new one.
class ConnectionLease {
 public:
  ConnectionLease(std::shared_ptr<virConnect> connect, std::uint64_t generation)
      : connect_(std::move(connect)), generation_(generation) {}
  [[nodiscard]] virConnectPtr get() const { return connect_.get(); }
  // Ascends with every reconnect.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }

 private:
  std::shared_ptr<virConnect> connect_;
  std::uint64_t generation_;
};

// Is told, from a thread of the connection, one call at a time.
class ConnectionWatcher {
 public:
  virtual ~ConnectionWatcher() = default;
  virtual void connected(const ConnectionLease& lease) = 0;
  virtual void lost(const std::string& reason) = 0;
};

// Thread-safe. Calls of several threads go over one connection at once: a
// migration's call that takes minutes does not hold up the others (libvirtd
// serves max_client_requests, 5 by default, of one client at a time: who makes
// long calls opens a Connection of its own).
class Connection {
 public:
  // Connects, with keepalive; afterwards reconnects by itself with back-off
  // whenever libvirtd went away. `unavailable` where nobody listens now.
  static Result<std::shared_ptr<Connection>> open(const std::string& uri);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // `unavailable` while libvirtd is away. When it has just come back, waits up
  // to a few seconds for the reconnect.
  [[nodiscard]] Result<ConnectionLease> lease() const;
  // `not_found` for a domain that libvirt has not. `operation` begins the message.
  [[nodiscard]] Result<DomainPtr> domain(const Uuid& uuid, std::string_view operation) const;

  // From now on tells `watcher` (as long as it lives); connected() at once.
  void watch(const std::weak_ptr<ConnectionWatcher>& watcher) const;
  [[nodiscard]] const std::string& uri() const;

 private:
  struct State;
  explicit Connection(std::shared_ptr<State> state);
  static void on_close(virConnectPtr connect, int reason, void* opaque);
  static Result<std::shared_ptr<virConnect>> dial(const std::shared_ptr<State>& state);
  static void keep_connected(const std::shared_ptr<State>& state);

  std::shared_ptr<State> state_;
};

}  // namespace vmsec::kvm
