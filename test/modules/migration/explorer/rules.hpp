// The decisions that run, as the model calls them. A seeded bug puts another function in the place of one.
#pragma once

#include <vector>

#include "steps.hpp"

namespace vmsec::migration::explorer {

enum class Order { write_first, act_first };

struct Rules {
  bool (*may_follow)(Phase, Phase) = migration::may_follow;
  bool (*blocks_another)(Phase) = migration::blocks_another;
  Decision (*decide_source)(const EndView&, const std::optional<EndView>&, PeerHost) = migration::decide_source;
  Decision (*decide_source_for_peer)(const EndView&, const EndView&) = migration::decide_source_for_peer;
  Decision (*decide_at_start)(const EndView&) = migration::decide_at_start;
  Decision (*decide_failed)(const EndView&) = migration::decide_failed;
  Decision (*decide_destination)(const EndView&, const std::optional<EndView>&,
                                 PeerHost) = migration::decide_destination;
  bool (*takes_commit)(const EndView&) = migration::takes_commit;
  Steps (*steps_of)(Side, Action, Phase) = migration::steps_of;
  Steps (*steps_of_commit)(Phase) = migration::steps_of_commit;
  Steps (*steps_of_abort)(Phase) = migration::steps_of_abort;
  // A record older than another of its domain touches no copy, and does not commit (Ledger, Resolver).
  bool epochs = true;
  // Of the sessions, whose glue is not data: `gated` is written, then the hypervisor is told.
  Order gate = Order::write_first;
  // COMMIT is written at the hypervisor's word; else already at the gate.
  bool commit_at_gate = false;
  // COMMIT comes first only where the hypervisor says that post-copy has begun; else wherever it was asked for.
  bool post_copy_is_seen = true;
};

enum class Fence {
  never,
  true_word,           // the host is off, and the guest has not gone on from it
  wrong_word,          // whenever the other end does not answer
  wrong_at_source,     // the same, but only about the destination, and before COMMIT is written
  wrong_after_commit,  // the same, but only about the destination, at any time
};

// What may go wrong. Whatever may, may any number of times; only disk failures are counted.
struct World {
  bool agents_die = true;
  bool links_break = true;
  bool guests_die = false;  // a hypervisor loses a copy, running or not
  bool power_fails = false;
  int disk_failures = 0;
  Fence fence = Fence::never;
  bool moves_on = false;   // later migrations of the same guest, to a third host and back
  bool liar = false;       // the destination claims to have committed
  bool post_copy = false;  // may be asked for. A guest is lost where it fails
  bool recovers = false;   // or it is taken up
};

}  // namespace vmsec::migration::explorer
