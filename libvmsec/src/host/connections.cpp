#include "host/connections.hpp"

namespace vmsec::host {

PeerContext context_of(const channel::TlsConnection& tls, std::uint64_t number) {
  return {tls.peer_name(), tls.local_name(), tls.peer_certificate_digest(), tls.local_certificate_digest(),
          number,          tls.binding()};
}

std::shared_ptr<Connection> Connections::add(std::unique_ptr<channel::TlsConnection> tls, std::string owner) {
  auto connection = std::make_shared<Connection>();
  const std::lock_guard lock(mutex_);
  connection->context = context_of(*tls, ++last_);
  connection->tls = std::move(tls);
  connection->owner = std::move(owner);
  connections_[last_] = connection;
  if (closed_) connection->tls->shutdown();
  return connection;
}

Result<std::shared_ptr<Connection>> Connections::find_locked(std::uint64_t number) const {
  const auto found = connections_.find(number);
  if (found == connections_.end())
    return fail(Code::unavailable, "connection " + std::to_string(number) + " has ended");
  return found->second;
}

Result<std::shared_ptr<Connection>> Connections::find(std::uint64_t number, const std::string& module) const {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto connection, find_locked(number));
  if (connection->owner == module || connection->users.contains(module)) return connection;
  return fail(Code::denied, "use connection " + std::to_string(number) + ": module " + module +
                                " neither opened it nor was passed it");
}

void Connections::admit(Connection& connection, const std::string& module) {
  const std::lock_guard lock(mutex_);
  if (!connection.users.contains(module)) connection.users.insert(module);
}

Result<Connections::Loan> Connections::lend(std::uint64_t number, const std::string& owner, const std::string& to) {
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto connection, find_locked(number));
  if (connection->owner != owner)
    return fail(Code::denied,
                "pass connection " + std::to_string(number) + " on: module " + owner + " did not open it");
  connection->users.insert(to);
  return Loan(*this, std::move(connection), to);
}

void Connections::take_back(Connection& connection, const std::string& module) {
  const std::lock_guard lock(mutex_);
  if (const auto one = connection.users.find(module); one != connection.users.end()) connection.users.erase(one);
}

void Connections::remove(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  connections_.erase(number);
}

void Connections::shut_down_all() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto& [number, connection] : connections_) connection->tls->shutdown();
}

void Connections::shut_down_of(const std::string& owner) {
  const std::lock_guard lock(mutex_);
  std::erase_if(connections_, [&](const auto& each) {
    if (each.second->owner != owner) return false;
    each.second->tls->shutdown();
    return true;
  });
}

}  // namespace vmsec::host
