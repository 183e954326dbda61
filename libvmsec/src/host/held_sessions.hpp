// The migrations' sessions that one module's instance holds open in the backend.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

#include "host/capabilities.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::host {

// Any thread.
class HeldSessions {
 public:
  // What a call of vmsec.Migration does to a session.
  struct Step {
    enum class Kind { none, began_source, began_destination, asked, proceeded, activated, closed };
    Kind kind = Kind::none;
    SessionRef session;
  };
  static Step read(std::uint32_t method, std::string_view request);
  // A beginning that failed holds nothing.
  void note(const Step& step, const Result<Packet>& answer);

  // Ends them as if the module were the host itself: one that was not told to proceed is
  // cancelled (the source's guest goes on, a destination's copy is discarded); one that
  // was may have moved its guest, and is only waited for. A destination's guest that is
  // loaded stays, held, for the next instance to resolve.
  void end_all(Capabilities& capabilities, const std::function<Status(const AuditEntry&)>& record);

 private:
  struct Held {
    SessionRef session;
    bool destination = false;
    bool proceeded = false;
    bool over = false;  // it has said how it ended
    bool activated = false;
  };
  static void end(const Held& held, Capabilities& capabilities);

  std::mutex mutex_;
  std::map<Uuid, Held> held_;  // by migration
};

}  // namespace vmsec::host
