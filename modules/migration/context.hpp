// What every part of the module works with.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "board.hpp"
#include "ledger.hpp"
#include "locks.hpp"
#include "policy.hpp"
#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/service/authority.hpp"
#include "vmsec/service/journal.hpp"
#include "vmsec/service/modules.hpp"
#include "vmsec/service/peers.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::migration {

inline constexpr Microseconds kEventWait{50'000};  // for the hypervisor to say something

// What the host granted.
struct Services {
  std::unique_ptr<Migration> migration;
  std::unique_ptr<DomainControl> domains;
  std::unique_ptr<Peers> peers;
  std::unique_ptr<Authority> authority;
  std::unique_ptr<Records> records;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<Modules> modules;
};

struct Context {
  Context(Services granted, Policy configured)
      : services(std::move(granted)), policy(configured), ledger(*services.records, *services.journal) {}

  Services services;
  const Policy policy;
  Ledger ledger;
  Boards boards;
  // What is done here at the other end's word, and what withholds a guest: one at a time. Nobody is asked meanwhile.
  MigrationLocks here;

  // An act or a refusal that no record of the ledger stands for.
  Status audit(std::string_view action, Outcome outcome, const Uuid& domain, std::string_view peer,
               std::string_view detail) const {
    VMSEC_CHECK(
        services.journal->audit({std::string(action), outcome, domain, std::string(peer), std::string(detail)}));
    return {};
  }
  void log(LogLevel level, std::string text) const { std::ignore = services.journal->log({level, std::move(text)}); }

  // One exchange with the module on the other host.
  template <class Reply, class Request>
  Result<Reply> call(std::uint64_t connection, Call method, const Request& request,
                     std::chrono::microseconds timeout) const {
    VMSEC_TRY(const PeerReply reply, services.peers->call({connection,
                                                           static_cast<std::uint32_t>(method),
                                                           wire::encode(request),
                                                           {static_cast<std::uint64_t>(timeout.count())}}));
    return wire::decode<Reply>(reply.payload);
  }

  // What this end has of a migration.
  [[nodiscard]] EndView view(const Uuid& migration, const Uuid& domain, Phase phase, bool live) const {
    EndView view{phase, live, false, {}, ledger.superseded(migration, side_of(phase))};
    if (auto holding = services.migration->holding({migration, domain}); holding) {
      view.holding_known = true;
      view.holding = *holding;
    }
    return view;
  }
};

}  // namespace vmsec::migration
