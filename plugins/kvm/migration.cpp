// The Migration capability: sessions by their id, and what needs none.
#include "vmsec/capability/migration.hpp"

#include <map>
#include <mutex>
#include <vector>

#include "context.hpp"
#include "domain_policy.hpp"
#include "migration_destination.hpp"
#include "migration_domain.hpp"
#include "migration_source.hpp"
#include "text.hpp"

namespace vmsec::kvm {

namespace {

// QEMU's own limit on parallel connections is 255.
constexpr std::uint32_t kBulkLimit = 64;

class KvmMigration final : public Migration {
 public:
  KvmMigration(std::shared_ptr<Context> context, IncomingPolicy policy)
      : context_(std::move(context)), policy_(std::move(policy)) {}

  Result<DomainDescription> describe(const DomainRef& ref) override {
    VMSEC_TRY(DomainDescription description, describe_domain(*context_->connection, ref.domain));
    VMSEC_CHECK(describe_disks(description));
    description.bulk_channels = kBulkLimit;
    return description;
  }

  Result<Empty> start(const StartOutgoing& request) override {
    VMSEC_CHECK(check_options(request.options));
    VMSEC_TRY(DomainDescription description, describe_domain(*context_->connection, request.domain));
    std::vector<std::string> disks;
    if (request.options.copy_disks) {
      VMSEC_CHECK(describe_disks(description));
      VMSEC_TRY(const auto copied, copied_disks(description.configuration, description.disks));
      for (const CopiedDisk& disk : copied) disks.push_back(disk.target);
    }
    return add({request.migration, request.domain},
               [&]() -> Made { return SourceSession::start(context_, request, description, std::move(disks)); });
  }

  Result<Empty> prepare(const PrepareIncoming& request) override {
    VMSEC_CHECK(check_options(request.options));
    const DomainDescription& description = request.description;
    if (description.domain != request.domain)
      return fail(Code::invalid_argument, "prepare migration " + request.migration.text() +
                                              ": the description is of another domain, " + description.domain.text());
    if (description.format != "libvirt-xml")
      return fail(Code::unsupported, "prepare migration " + request.migration.text() +
                                         ": kvm takes a description in libvirt-xml, not \"" + description.format +
                                         "\"");
    IncomingImages::sweep(context_->options.state_dir, policy_.copy_roots);
    return add({request.migration, request.domain},
               [&]() -> Made { return DestinationSession::prepare(context_, request, policy_); });
  }

  Result<ChannelEnd> open(const OpenChannel& channel) override {
    VMSEC_TRY(const auto session, find({channel.migration, channel.domain}));
    return session->open(channel);
  }
  Result<SessionEvent> next(const NextSessionEvent& request) override {
    VMSEC_TRY(const auto session, find({request.migration, request.domain}));
    return session->next(request.wait);
  }
  Result<Empty> decide(const GateDecision& decision) override {
    VMSEC_TRY(const auto session, find({decision.migration, decision.domain}));
    return session->decide(decision);
  }
  Result<TransferProgress> progress(const SessionRef& ref) override {
    VMSEC_TRY(const auto session, find(ref));
    return session->progress();
  }
  Result<Empty> cancel(const SessionRef& ref) override {
    VMSEC_TRY(const auto session, find(ref));
    return session->cancel();
  }
  Result<Empty> close(const SessionRef& ref) override {
    VMSEC_TRY(const auto session, find(ref));
    VMSEC_CHECK(session->close());
    const std::lock_guard lock(mutex_);
    // Its threads end when the last who holds it lets go, which is outside the lock.
    sessions_.erase(ref.migration);
    return Empty{};
  }

  Result<Holding> holding(const SessionRef& ref) override {
    const Left left = context_->held.was_told_loaded(ref.domain) ? Left::told_loaded : Left::unknown;
    VMSEC_TRY(Holding holding, domain_holding(*context_->connection, ref.domain, left));
    const auto source = source_of(ref);
    // libvirt's job begins a moment after the session.
    if (source && !source->ended()) holding.migrating = true;
    // libvirt is busy, but only with waiting for our word.
    if (source && source->waits_for_resolution()) holding.migrating = false;
    return holding;
  }

  Result<Empty> hold(const SessionRef& ref) override {
    context_->held.hold(ref.domain, ref.migration);
    return Empty{};
  }

  Result<Empty> activate(const SessionRef& ref) override {
    const std::string operation = "activate domain " + ref.domain.text();
    VMSEC_CHECK(no_session_under_way(ref, operation));
    const auto here = domain_holding(*context_->connection, ref.domain);
    if (here && here->state == DomainState::running && here->migrating)
      return fail(Code::wrong_state,
                  operation +
                      ": its memory is not whole here: its post-copy is not over, or broken; of a broken one destroy "
                      "the domain here (virsh destroy), and resolve here, then at its source");
    // Before it runs, as nobody removes a guest's disks. Where that cannot be noted it is no reason to
    // withhold the guest: of a migration that has committed nothing is discarded.
    std::ignore = incoming_images(*context_, policy_, ref.migration).keep();
    VMSEC_CHECK(run_domain(*context_->connection, ref.domain, operation));
    context_->held.release(ref.domain);
    return Empty{};
  }

  Result<Empty> discard(const SessionRef& ref) override {
    const std::string operation = "discard domain " + ref.domain.text();
    const auto session = session_of(ref);
    if (session && session->outgoing()) return fail(Code::wrong_state, operation + ": this host is its source");
    if (session && !session->ended()) VMSEC_CHECK(session->cancel());
    VMSEC_CHECK(remove(ref, operation));
    // By the note, as it may be after a restart.
    const Status removed = incoming_images(*context_, policy_, ref.migration).discard();
    return removed ? Result<Empty>(Empty{}) : fail(removed.error().in(operation));
  }

  Result<Empty> reclaim(const SessionRef& ref) override {
    const std::string operation = "reclaim domain " + ref.domain.text();
    const auto source = source_of(ref);
    if (source && source->waits_for_resolution())
      VMSEC_CHECK(source->resolve(SourceSession::Resolution::guest_goes_on_here));
    VMSEC_CHECK(no_session_under_way(ref, operation));
    const auto here = domain_holding(*context_->connection, ref.domain);
    if (!here) return fail(here.error());
    const bool stays_paused = source && source->was_paused() && here->state == DomainState::paused;
    if (!stays_paused) VMSEC_CHECK(run_domain(*context_->connection, ref.domain, operation));
    context_->held.release(ref.domain);
    return Empty{};
  }

  Result<Empty> start_post_copy(const SessionRef& ref) override {
    VMSEC_TRY(const auto session, find(ref));
    const auto source = std::dynamic_pointer_cast<SourceSession>(session);
    if (!source) return fail(Code::wrong_state, "start post-copy of " + ref.domain.text() + ": it comes to this host");
    return source->start_post_copy();
  }

  Result<Empty> unhold(const SessionRef& ref) override {
    const std::string operation = "unhold domain " + ref.domain.text();
    VMSEC_CHECK(no_session_under_way(ref, operation));
    VMSEC_CHECK(destroy_broken_domain(*context_->connection, ref.domain, operation));
    context_->held.release(ref.domain);
    return Empty{};
  }

  Result<Empty> release(const SessionRef& ref) override {
    const std::string operation = "release domain " + ref.domain.text();
    const auto source = source_of(ref);
    if (source && source->waits_for_resolution())
      VMSEC_CHECK(source->resolve(SourceSession::Resolution::guest_is_loaded_there));
    VMSEC_CHECK(no_session_under_way(ref, operation));
    return remove(ref, operation);
  }

 private:
  using Made = Result<std::shared_ptr<Session>>;

  Status describe_disks(DomainDescription& description) {
    return add_disks(*context_->connection, common::words_of(context_->setting("outgoing.shared_roots", "")),
                     description);
  }

  static Status check_options(const MigrationOptions& options) {
    if (options.recover && (!options.post_copy || options.copy_disks))
      return fail(Code::invalid_argument, "recover a migration: only a post-copy is taken up");
    if (options.post_copy && options.bulk_channels > 0)
      return fail(Code::unsupported, "migrate with post-copy and bulk channels: QEMU has not both");
    if (options.bulk_channels <= kBulkLimit) return {};
    return fail(Code::limit_exceeded, "migration: " + std::to_string(options.bulk_channels) +
                                          " bulk channels exceed the limit of " + std::to_string(kBulkLimit));
  }

  template <class Make>
  Result<Empty> add(const SessionRef& ref, Make&& make) {
    const auto ended = take_ended(ref);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [migration, session] : sessions_)
        if (migration == ref.migration || (session != nullptr && session->ref().domain == ref.domain))
          return fail(Code::already_exists, "migration " + ref.migration.text() + " of domain " + ref.domain.text() +
                                                ": there is a session of it already");
      for (const auto& [migration, domain] : starting_)
        if (migration == ref.migration || domain == ref.domain)
          return fail(Code::already_exists, "migration " + ref.migration.text() + ": it begins already");
      starting_.emplace(ref.migration, ref.domain);
    }
    auto session = make();
    const std::lock_guard lock(mutex_);
    starting_.erase(ref.migration);
    if (!session) return fail(session.error());
    sessions_.emplace(ref.migration, *session);
    return Empty{};
  }

  // Nobody has closed it. Its threads end outside of the lock.
  std::vector<std::shared_ptr<Session>> take_ended(const SessionRef& ref) {
    std::vector<std::shared_ptr<Session>> taken;
    const std::lock_guard lock(mutex_);
    std::erase_if(sessions_, [&](const auto& each) {
      const bool old = each.second->ref().domain == ref.domain && each.second->ended();
      if (old) taken.push_back(each.second);
      return old;
    });
    return taken;
  }

  std::shared_ptr<Session> session_of(const SessionRef& ref) {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(ref.migration);
    return found != sessions_.end() && found->second->ref().domain == ref.domain ? found->second : nullptr;
  }

  Result<std::shared_ptr<Session>> find(const SessionRef& ref) {
    if (auto session = session_of(ref)) return session;
    return fail(Code::not_found, "migration " + ref.migration.text() + " of domain " + ref.domain.text() +
                                     ": there is no session of it");
  }

  std::shared_ptr<SourceSession> source_of(const SessionRef& ref) {
    return std::dynamic_pointer_cast<SourceSession>(session_of(ref));
  }

  // Of this domain, whatever the migration.
  Status no_session_under_way(const SessionRef& ref, const std::string& operation) {
    const std::lock_guard lock(mutex_);
    for (const auto& [migration, session] : sessions_)
      if (session->ref().domain == ref.domain && !session->ended())
        return fail(Code::wrong_state, operation + ": migration " + migration.text() + " is under way");
    return {};
  }

  Result<Empty> remove(const SessionRef& ref, const std::string& operation) {
    VMSEC_CHECK(no_session_under_way(ref, operation));
    VMSEC_CHECK(remove_domain(*context_->connection, ref.domain, operation));
    context_->held.release(ref.domain);
    return Empty{};
  }

  std::shared_ptr<Context> context_;
  IncomingPolicy policy_;
  std::mutex mutex_;
  std::map<Uuid, std::shared_ptr<Session>> sessions_;
  std::map<Uuid, Uuid> starting_;
};

}  // namespace

Result<std::unique_ptr<Migration>> make_migration(std::shared_ptr<Context> context) {
  VMSEC_TRY(IncomingPolicy policy, IncomingPolicy::from_settings(context->options.settings));
  return std::unique_ptr<Migration>(std::make_unique<KvmMigration>(std::move(context), std::move(policy)));
}

}  // namespace vmsec::kvm
