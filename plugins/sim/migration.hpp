// vmsec::Migration of the simulated hypervisor: finds the session, asks the host.
#pragma once

#include "session_list.hpp"
#include "sim_host.hpp"

namespace vmsec::sim {

class SimMigration final : public Migration {
 public:
  explicit SimMigration(SimHost& host) : host_(host) {}

  Result<DomainDescription> describe(const DomainRef& request) override;
  Result<Empty> start(const StartOutgoing& request) override;
  Result<Empty> prepare(const PrepareIncoming& request) override;
  Result<ChannelEnd> open(const OpenChannel& request) override;
  Result<SessionEvent> next(const NextSessionEvent& request) override;
  Result<Empty> decide(const GateDecision& request) override;
  Result<TransferProgress> progress(const SessionRef& request) override;
  Result<Empty> cancel(const SessionRef& request) override;
  Result<Empty> close(const SessionRef& request) override;
  Result<Holding> holding(const SessionRef& request) override;
  Result<Empty> hold(const SessionRef& request) override;
  Result<Empty> activate(const SessionRef& request) override;
  Result<Empty> discard(const SessionRef& request) override;
  Result<Empty> reclaim(const SessionRef& request) override;
  Result<Empty> release(const SessionRef& request) override;
  Result<Empty> start_post_copy(const SessionRef& request) override;
  Result<Empty> unhold(const SessionRef& request) override;

 private:
  Status check_call(std::string_view method);
  Status check_options(const MigrationOptions& options);
  template <class Act>
  Result<Empty> resolve(std::string_view method, const SessionRef& request, Act&& act);

  SimHost& host_;
  common::SessionList sessions_;
};

}  // namespace vmsec::sim
