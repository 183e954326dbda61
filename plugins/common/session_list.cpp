#include "session_list.hpp"

namespace vmsec::common {

SessionList::~SessionList() {
  for (auto& [id, session] : sessions_) session->close();
}

Result<std::shared_ptr<Session>> SessionList::find(const Uuid& migration, const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(migration);
  if (found != sessions_.end() && found->second->domain() == domain) return found->second;
  return fail(Code::not_found, "find migration " + migration.text() + " of " + domain.text() + ": it has no session");
}

Status SessionList::check_new(const Uuid& migration, const Uuid& domain) {
  if (migration.is_nil()) return fail(Code::invalid_argument, "migrate " + domain.text() + ": the migration has no id");
  const std::lock_guard lock(mutex_);
  for (const auto& [id, session] : sessions_) {
    if (id == migration || session->domain() == domain)
      return fail(Code::already_exists, "migrate " + domain.text() + ": migration " + id.text() + " has a session");
  }
  return {};
}

bool SessionList::busy(const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, session] : sessions_)
    if (session->domain() == domain && !session->ended()) return true;
  return false;
}

Result<Empty> SessionList::close(const SessionRef& request) {
  VMSEC_TRY(auto session, find(request.migration, request.domain));
  session->close();
  const std::lock_guard lock(mutex_);
  sessions_.erase(request.migration);
  return Empty{};
}

}  // namespace vmsec::common
