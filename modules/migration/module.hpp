// The module's face: what operators and other hosts' agents call.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "context.hpp"
#include "left_over.hpp"
#include "resolver.hpp"
#include "sessions.hpp"
#include "vmsec/module.hpp"

namespace vmsec::migration {

class MigrationModule final : public Migrator, public PeerHandler {
 public:
  static Result<std::unique_ptr<MigrationModule>> create(const HostLink& host, const Settings& settings);
  // The same with what the host would have granted.
  static Result<std::unique_ptr<MigrationModule>> create(Services services, const Settings& settings);
  Result<Endpoint*> endpoint(std::string_view name);

  Result<MigrationStatus> migrate(const MigrateRequest&) override;
  Result<MigrationStatus> status(const MigrationRef&) override;
  Result<MigrationList> list(const Empty&) override;
  Result<MigrationList> resolve(const ResolveMigration&) override;
  Result<MigrationStatus> abort(const MigrationRef&) override;
  Result<MigrationStatus> set(const SetMigration&) override;
  Result<MigrationStatus> recover(const MigrationRef&) override;

  Result<PeerReply> incoming_call(const IncomingCall&) override;
  Result<PeerReply> incoming_stream(const IncomingStream&) override;
  Result<Empty> stream_ready(const StreamReady&) override;
  Result<Empty> disconnected(const PeerContext&) override;

 private:
  explicit MigrationModule(std::unique_ptr<Context> context);
  std::vector<OwnershipRecord> unfinished(const Uuid& migration) const;
  Status check_fenced(const std::string& host, const std::vector<OwnershipRecord>& records) const;

  std::unique_ptr<Context> context_;
  Sessions sessions_;
  Resolver resolver_;
  LeftOver left_over_;
  EndpointOf<Migrator> migrator_;
  EndpointOf<PeerHandler> handler_;
};

}  // namespace vmsec::migration
