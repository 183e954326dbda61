// The sessions of one backend, by their migration's id.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "session.hpp"

namespace vmsec::common {

// Any thread may call at any time.
class SessionList {
 public:
  SessionList() = default;
  ~SessionList();
  SessionList(const SessionList&) = delete;
  SessionList& operator=(const SessionList&) = delete;

  // Adds what `make` returns, a Result<std::shared_ptr<S>>. `already_exists` for a second session of a
  // migration or of a domain.
  template <class Make>
  Result<Empty> start(const Uuid& migration, const Uuid& domain, Make&& make) {
    const std::lock_guard acting(acting_);
    VMSEC_CHECK(check_new(migration, domain));
    VMSEC_TRY(auto session, make());
    const std::lock_guard lock(mutex_);
    sessions_.emplace(migration, std::move(session));
    return Empty{};
  }

  // Acts when no session of the domain is under way: `wrong_state` while one is.
  template <class Act>
  Result<Empty> resolve(const std::string& what, const Uuid& domain, Act&& act) {
    const std::lock_guard acting(acting_);
    if (busy(domain)) return fail(Code::wrong_state, what + ": its migration is under way");
    VMSEC_CHECK(act());
    return Empty{};
  }

  // `not_found` for a migration without a session, or of another domain.
  Result<std::shared_ptr<Session>> find(const Uuid& migration, const Uuid& domain);
  [[nodiscard]] bool busy(const Uuid& domain);
  // It counts as under way until its engine has ended.
  Result<Empty> close(const SessionRef& request);

 private:
  Status check_new(const Uuid& migration, const Uuid& domain);

  std::mutex acting_;  // starting and resolving: one at a time
  std::mutex mutex_;
  std::map<Uuid, std::shared_ptr<Session>> sessions_;
};

}  // namespace vmsec::common
