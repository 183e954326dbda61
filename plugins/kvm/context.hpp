// What the capabilities of one backend share.
#pragma once

#include <memory>
#include <string>

#include "connection.hpp"
#include "event_ring.hpp"
#include "held_domains.hpp"
#include "vmsec/backend.hpp"
#include "waiting_domains.hpp"

namespace vmsec::kvm {

using common::EventRing;
using common::HeldDomains;

struct Context {
  std::shared_ptr<Connection> connection;
  HeldDomains held;
  WaitingDomains waiting;
  std::shared_ptr<EventRing> events = std::make_shared<EventRing>();
  BackendOptions options;

  // A key of [backend.settings], or `otherwise` where it is not set.
  [[nodiscard]] std::string setting(const std::string& key, const std::string& otherwise) const {
    const auto found = options.settings.find(key);
    return found == options.settings.end() ? otherwise : found->second;
  }
};

// One for each capability, each in its own file.
Result<std::unique_ptr<DomainControl>> make_domain_control(std::shared_ptr<Context> context);
Result<std::unique_ptr<ResourceControl>> make_resource_control(std::shared_ptr<Context> context);
Result<std::unique_ptr<IoControl>> make_io_control(std::shared_ptr<Context> context);
Result<std::unique_ptr<Migration>> make_migration(std::shared_ptr<Context> context);
Result<std::unique_ptr<MemoryAccess>> make_memory_access(std::shared_ptr<Context> context);
Result<std::unique_ptr<Interchange>> make_interchange(std::shared_ptr<Context> context);
Result<std::unique_ptr<BootEvidence>> make_boot_evidence(std::shared_ptr<Context> context);
Result<std::unique_ptr<Events>> make_events(std::shared_ptr<Context> context);

}  // namespace vmsec::kvm
