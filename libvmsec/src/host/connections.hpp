// The connections to peers that are open in this process, by number.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "channel/tls.hpp"
#include "vmsec/export.hpp"
#include "vmsec/service/peers.hpp"

namespace vmsec::host {

// One connection and what is known of its peer. `turn` is held for a whole
// exchange (request and answer) by whoever calls on it.
struct Connection {
  std::unique_ptr<channel::TlsConnection> tls;
  PeerContext context;
  std::string owner;  // the module that opened it; empty: the peer did
  std::mutex turn;
  // Modules beside the owner that may use it, once for each time that they were let.
  // Under the lock of Connections.
  std::multiset<std::string> users;
};

PeerContext context_of(const channel::TlsConnection& tls, std::uint64_t number);

// Any thread.
class VMSEC_EXPORT Connections {
 public:
  std::shared_ptr<Connection> add(std::unique_ptr<channel::TlsConnection> tls, std::string owner);
  // As `module` may use it. `unavailable` once it has ended; `denied` where the module
  // neither opened it nor was passed it.
  Result<std::shared_ptr<Connection>> find(std::uint64_t number, const std::string& module) const;
  // The peer, which opened it, calls this module over it.
  void admit(Connection& connection, const std::string& module);
  // `to` may use what `owner` opened, for as long as the loan lives. Errors as find()'s.
  class Loan;
  Result<Loan> lend(std::uint64_t number, const std::string& owner, const std::string& to);
  void remove(std::uint64_t number);
  // Those that come later, too: whoever is just being accepted must not keep the listener from its end.
  void shut_down_all();
  // Those that this module opened: they end, and are no more.
  void shut_down_of(const std::string& owner);

 private:
  Result<std::shared_ptr<Connection>> find_locked(std::uint64_t number) const;
  void take_back(Connection& connection, const std::string& module);

  mutable std::mutex mutex_;
  bool closed_ = false;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;
};

class Connections::Loan {
 public:
  Loan(Connections& all, std::shared_ptr<Connection> connection, std::string to)
      : all_(all), connection_(std::move(connection)), to_(std::move(to)) {}
  Loan(Loan&&) = default;
  Loan& operator=(Loan&&) = delete;
  ~Loan() {
    if (connection_) all_.take_back(*connection_, to_);
  }

 private:
  Connections& all_;
  std::shared_ptr<Connection> connection_;
  std::string to_;
};

}  // namespace vmsec::host
