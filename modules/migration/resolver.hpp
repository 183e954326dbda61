// Ends what is not decided, and carries the source's decisions out at the destination.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sessions.hpp"
#include "steps.hpp"

namespace vmsec::migration {

// Any thread. Locks: a migration's own lock is held while it is resolved, and
// only the source's end is asked meanwhile for something that takes its lock;
// the destination's answers (commit, abort, query) do not, and no source asks with its lock held for what takes it
// there (a PREPARE that takes one up). So no two ends
// wait for each other. What they do here, and a hold at the start, is done one
// at a time (Context::here): a hold that came after COMMIT would withhold a guest for good.
class Resolver {
 public:
  Resolver(Context& context, Sessions& sessions) : context_(context), sessions_(sessions) {}

  // One migration, by the record of this end. What stays in doubt is on its board.
  MigrationStatus resolve(const OwnershipRecord& record, const std::string& fenced);
  // What a former life of the agent left, decided by what is here alone (decide_at_start).
  // Starts no guest. False: the hypervisor, or the disk, does not let us yet.
  bool decide_at_start(const OwnershipRecord& record);
  // The same for a guest whose owner is still not decided: it must not be resumed by hand.
  bool hold_undecided(const OwnershipRecord& record);
  // Of one that is lost: whoever died over it may have left it held.
  bool let_go_of_lost(const OwnershipRecord& record);

  // Takes up what broke after COMMIT: of the source. Begins only; see Migrator::recover.
  Result<std::shared_ptr<Board>> recover(const Uuid& migration);
  // Of the destination: nobody resolves it meanwhile.
  Result<PrepareReply> take_up(const PeerContext& from, PrepareRequest request);

  // The destination's answers.
  Result<DecisionReply> commit(const PeerContext& from, const DecisionRequest& request);
  Result<DecisionReply> abort(const PeerContext& from, const DecisionRequest& request);
  Result<EndView> query(const PeerContext& from, const DecisionRequest& request);
  // The source's answer: it decides first, if it can.
  Result<EndView> resolve_for(const PeerContext& from, const ResolveRequest& request);

 private:
  // Whether the other end is told by us, or has asked and acts on our answer.
  enum class Tell { yes, no };
  // A connection for one resolve.
  struct Line {
    Line(const Context& all, PeerContext to) : context(all), peer(std::move(to)) {}
    ~Line() { std::ignore = context.services.peers->close({peer.connection}); }
    Line(const Line&) = delete;
    Line& operator=(const Line&) = delete;

    const Context& context;
    const PeerContext peer;
  };
  struct Sight {
    std::optional<EndView> peer;
    std::string silence;  // why it did not answer
  };

  Status hear_word(const OwnershipRecord& record, bool answers);
  Status settle_source(const OwnershipRecord& record, const std::optional<EndView>& peer, PeerHost host, Tell tell,
                       const Line* line);
  Status settle_destination(const OwnershipRecord& record, const std::optional<EndView>& peer, PeerHost host);
  // What was decided, carried out step by step (carry_out.cpp, steps.hpp).
  Status carry_out(const OwnershipRecord& record, Phase phase, const Decision& decision, const Line* line);
  Status take(const OwnershipRecord& record, const Steps& steps, const std::string& why, const Line* line);
  Status act(const OwnershipRecord& record, Step step, const std::string& why);
  Status write(const OwnershipRecord& record, Step step, const std::string& why);
  Status tell(const OwnershipRecord& record, Step step, const Line& line) const;
  Status reclaim(const OwnershipRecord& record);
  Status release(const OwnershipRecord& record);
  Status activate(const OwnershipRecord& record);
  Status unhold(const OwnershipRecord& record);
  Status lose_copy(const OwnershipRecord& record, const Status& cause);
  void close_session(const OwnershipRecord& record);
  Status in_doubt(const OwnershipRecord& record, const std::string& why) const;

  Sight look(const OwnershipRecord& record, PeerHost host, const Line* line);
  Result<EndView> ask(const OwnershipRecord& record, const EndView& own, const Line& line) const;
  Result<OwnershipRecord> record_of(const PeerContext& from, const Uuid& migration, const Uuid& domain,
                                    Side side) const;
  EndView view_of(const OwnershipRecord& record);

  Context& context_;
  Sessions& sessions_;
  MigrationLocks locks_;
};

}  // namespace vmsec::migration
