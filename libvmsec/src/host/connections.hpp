// The connections to peers that are open in this process, by number.
#pragma once

#include <map>
#include <memory>
#include <mutex>
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
};

PeerContext context_of(const channel::TlsConnection& tls, std::uint64_t number);

// Any thread.
class VMSEC_EXPORT Connections {
 public:
  std::shared_ptr<Connection> add(std::unique_ptr<channel::TlsConnection> tls, std::string owner);
  // `unavailable` once it has ended.
  Result<std::shared_ptr<Connection>> find(std::uint64_t number) const;
  void remove(std::uint64_t number);
  void shut_down_all();
  // Those that this module opened: they end, and are no more.
  void shut_down_of(const std::string& owner);

 private:
  mutable std::mutex mutex_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections_;
};

}  // namespace vmsec::host
