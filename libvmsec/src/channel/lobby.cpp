#include "channel/lobby.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace vmsec::channel {

std::string origin_of(int socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (::getpeername(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (address.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return {reinterpret_cast<const char*>(&v4.sin_addr), sizeof v4.sin_addr};
  }
  if (address.ss_family != AF_INET6) return {};
  sockaddr_in6 v6{};
  std::memcpy(&v6, &address, sizeof v6);
  const auto* bytes = reinterpret_cast<const char*>(&v6.sin6_addr);
  return IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) ? std::string(bytes + 12, 4) : std::string(bytes, 8);
}

std::optional<Stranger> Lobby::enter(Stranger stranger) {
  strangers_.push_back(std::move(stranger));
  if (strangers_.size() <= places_) return std::nullopt;
  std::map<std::string, std::size_t> crowd;
  for (const auto& each : strangers_) ++crowd[each.origin];
  const auto largest = std::ranges::max_element(crowd, {}, [](const auto& each) { return each.second; });
  const auto oldest = std::ranges::find(strangers_, largest->first, &Stranger::origin);
  std::optional<Stranger> loser = std::move(*oldest);
  strangers_.erase(oldest);
  return loser;
}

std::vector<pollfd> Lobby::silent() const {
  std::vector<pollfd> entries;
  for (const auto& each : strangers_)
    if (!each.speaks) entries.push_back({each.socket.get(), POLLIN, 0});
  return entries;
}

void Lobby::hear(const std::vector<pollfd>& entries) {
  for (auto& each : strangers_)
    for (const auto& entry : entries)
      if (entry.fd == each.socket.get() && entry.revents != 0) each.speaks = true;
}

Stranger::Time Lobby::deadline_of(const Stranger& stranger) {
  return stranger.speaks ? stranger.ready_by : std::min(stranger.speak_by, stranger.ready_by);
}

std::vector<Stranger> Lobby::expire(Stranger::Time now) {
  std::vector<Stranger> out;
  for (auto at = strangers_.begin(); at != strangers_.end();) {
    const auto here = at++;
    if (deadline_of(*here) > now) continue;
    out.push_back(std::move(*here));
    strangers_.erase(here);
  }
  return out;
}

std::optional<Stranger> Lobby::next(const std::map<std::string, std::uint32_t>& under_way, std::uint32_t most) {
  auto best = strangers_.end();
  std::uint32_t fewest = most;
  for (auto at = strangers_.begin(); at != strangers_.end(); ++at) {
    if (!at->speaks) continue;
    const auto found = under_way.find(at->origin);
    const std::uint32_t busy = found == under_way.end() ? 0 : found->second;
    if (busy >= fewest) continue;
    fewest = busy;
    best = at;
  }
  if (best == strangers_.end()) return std::nullopt;
  std::optional<Stranger> chosen = std::move(*best);
  strangers_.erase(best);
  return chosen;
}

bool Lobby::somebody_speaks() const { return std::ranges::any_of(strangers_, &Stranger::speaks); }

std::optional<Stranger::Time> Lobby::first_deadline() const {
  std::optional<Stranger::Time> first;
  for (const auto& each : strangers_) first = std::min(first.value_or(deadline_of(each)), deadline_of(each));
  return first;
}

}  // namespace vmsec::channel
