// What the capabilities of one backend share.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "event_ring.hpp"
#include "held_domains.hpp"
#include "lent_domains.hpp"
#include "observer.hpp"
#include "toolstack.hpp"
#include "vmsec/backend.hpp"

namespace vmsec::xen {

using common::EventRing;
using common::HeldDomains;

struct Context {
  std::shared_ptr<Toolstack> toolstack;
  std::string pool;  // of CPUs; empty: all of the host
  HeldDomains held;
  LentDomains lent;
  std::mutex pause_mutex;  // Xen counts pauses: looking and pausing is one step
  std::shared_ptr<EventRing> events = std::make_shared<EventRing>();
  std::shared_ptr<Observer> observer = std::make_shared<Observer>(events);
  // Called four times a second by the events' thread; filled before that starts.
  std::vector<std::function<void()>> ticks;
  BackendOptions options;

  // A key of [backend.settings], or `otherwise` where it is not set.
  [[nodiscard]] std::string setting(const std::string& key, const std::string& otherwise) const {
    const auto found = options.settings.find(key);
    return found == options.settings.end() ? otherwise : found->second;
  }
};

// One for each capability, each in its own file.
std::unique_ptr<DomainControl> make_domain_control(std::shared_ptr<Context> context);
std::unique_ptr<ResourceControl> make_resource_control(std::shared_ptr<Context> context);
std::unique_ptr<IoControl> make_io_control(std::shared_ptr<Context> context);
std::unique_ptr<MemoryAccess> make_memory_access(std::shared_ptr<Context> context);
// `invalid_argument` for settings that are none.
Result<std::unique_ptr<Migration>> make_migration(std::shared_ptr<Context> context);
std::unique_ptr<Interchange> make_interchange(std::shared_ptr<Context> context);
std::unique_ptr<Events> make_events(std::shared_ptr<Context> context);

}  // namespace vmsec::xen
