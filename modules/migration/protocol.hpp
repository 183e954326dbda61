// What the two ends of a migration say to each other over the control connection,
// and what each writes down (docs/migration-protocol.md).
#pragma once

#include <string>
#include <vector>

#include "stream_suite.hpp"
#include "vmsec/capability/migration.hpp"
#include "vmsec/service/migrator.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::migration {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kMaximumConfiguration = 1 << 20;
inline constexpr std::size_t kMaximumReason = 1024;
inline constexpr std::size_t kMaximumName = 256;
inline constexpr std::uint64_t kMaximumEpoch = std::uint64_t{1} << 48;

// Methods of the module's peer calls. Each goes from source to destination,
// except resolve.
enum class Call : std::uint32_t {
  prepare = 1,
  switch_over = 2,
  commit = 3,
  abort = 4,
  query = 5,
  resolve = 6,  // destination to source
};

enum class EncryptionPolicy : std::uint32_t {
  unknown = 0,
  required = 1,
  allow_none = 2,
};

enum class Side : std::uint32_t { unknown = 0, source = 1, destination = 2 };

// How far an end's durable record has come. Numbers are part of the format.
enum class Phase : std::uint32_t {
  none = 0,  // no record
  // source
  started = 1,
  source_gated = 2,  // from here on its copy may be lost
  source_committed = 3,
  source_done = 4,
  source_aborted = 5,
  source_reclaimed = 6,
  source_failed = 7,
  source_lost = 8,
  // destination
  prepared = 21,
  destination_gated = 22,  // from here on it may hold a whole copy
  loaded = 23,
  destination_committed = 24,
  active = 25,
  destination_aborted = 26,
  discarded = 27,
  destination_lost = 28,
};

struct OwnershipRecord {
  Uuid migration;
  Side side = Side::unknown;
  Phase phase = Phase::none;
  Uuid domain;
  std::string name;
  std::string peer;
  std::string cause;  // why it is aborted or lost
  Code code = Code::ok;
  UnixSeconds started;
  UnixSeconds changed;
  std::string cipher;
  std::string attested;
  std::uint64_t epoch = 0;            // counts this domain's migrations: the highest is the one that may touch its copy
  Cipher algorithm = Cipher::policy;  // what `cipher` is an implementation of: of all of its streams
  static constexpr std::string_view kMessage = "vmsec.migration.OwnershipRecord";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "migration", &OwnershipRecord::migration), wire::field(2, "side", &OwnershipRecord::side),
        wire::field(3, "phase", &OwnershipRecord::phase), wire::field(4, "domain", &OwnershipRecord::domain),
        wire::field(5, "name", &OwnershipRecord::name), wire::field(6, "peer", &OwnershipRecord::peer),
        wire::field(7, "cause", &OwnershipRecord::cause), wire::field(8, "code", &OwnershipRecord::code),
        wire::field(9, "started", &OwnershipRecord::started), wire::field(10, "changed", &OwnershipRecord::changed),
        wire::field(11, "cipher", &OwnershipRecord::cipher), wire::field(12, "attested", &OwnershipRecord::attested),
        wire::field(13, "epoch", &OwnershipRecord::epoch), wire::field(14, "algorithm", &OwnershipRecord::algorithm));
  }
};

struct PrepareRequest {
  std::uint32_t version = 0;
  Uuid migration;
  std::string ticket;  // an encoded SignedTicket
  DomainDescription description;
  MigrationOptions options;
  Cipher cipher = Cipher::policy;
  EncryptionPolicy encryption = EncryptionPolicy::unknown;  // the source's own
  std::string secret;                                       // the migration's, 32 bytes
  std::uint64_t epoch = 0;                                  // of the source's record
  StreamSuite suite = StreamSuite::unknown;                 // the source's own, and must be the destination's
  static constexpr std::string_view kMessage = "vmsec.migration.PrepareRequest";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "version", &PrepareRequest::version), wire::field(2, "migration", &PrepareRequest::migration),
        wire::field(3, "ticket", &PrepareRequest::ticket), wire::field(4, "description", &PrepareRequest::description),
        wire::field(5, "options", &PrepareRequest::options), wire::field(6, "cipher", &PrepareRequest::cipher),
        wire::field(7, "encryption", &PrepareRequest::encryption), wire::field(8, "secret", &PrepareRequest::secret),
        wire::field(9, "epoch", &PrepareRequest::epoch), wire::field(10, "suite", &PrepareRequest::suite));
  }
};

struct PrepareReply {
  std::uint32_t version = 0;
  Cipher cipher = Cipher::policy;                           // must be the request's
  EncryptionPolicy encryption = EncryptionPolicy::unknown;  // the destination's own
  StreamSuite suite = StreamSuite::unknown;                 // must be the request's
  static constexpr std::string_view kMessage = "vmsec.migration.PrepareReply";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "version", &PrepareReply::version), wire::field(2, "cipher", &PrepareReply::cipher),
        wire::field(3, "encryption", &PrepareReply::encryption), wire::field(4, "suite", &PrepareReply::suite));
  }
};

// The payload of a stream's opening.
struct JoinRequest {
  Uuid migration;
  ChannelKind kind = ChannelKind::unknown;
  std::uint32_t index = 0;
  std::uint32_t ordinal = 0;  // counts the migration's streams from 1: they join in order
  std::string nonce;
  std::string proof;
  static constexpr std::string_view kMessage = "vmsec.migration.JoinRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &JoinRequest::migration),
                        wire::field(2, "kind", &JoinRequest::kind), wire::field(3, "index", &JoinRequest::index),
                        wire::field(4, "ordinal", &JoinRequest::ordinal), wire::field(5, "nonce", &JoinRequest::nonce),
                        wire::field(6, "proof", &JoinRequest::proof));
  }
};

// The destination's hypervisor has the channel when this answer is sent.
struct JoinReply {
  std::string nonce;
  static constexpr std::string_view kMessage = "vmsec.migration.JoinReply";
  static constexpr auto fields() { return wire::fields(wire::field(1, "nonce", &JoinReply::nonce)); }
};

// What one stream has carried to the destination up to its mark or end.
struct FlushPoint {
  ChannelKind kind = ChannelKind::unknown;
  std::uint32_t index = 0;
  Bytes bytes;
  std::uint64_t records = 0;
  std::string transcript;  // SHA-256 over what the suite says of each record, in order
  static constexpr std::string_view kMessage = "vmsec.migration.FlushPoint";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "kind", &FlushPoint::kind), wire::field(2, "index", &FlushPoint::index),
                        wire::field(3, "bytes", &FlushPoint::bytes), wire::field(4, "records", &FlushPoint::records),
                        wire::field(5, "transcript", &FlushPoint::transcript));
  }
};

// The main, bulk and disk streams, each once.
struct SwitchRequest {
  Uuid migration;
  std::vector<FlushPoint> manifest;
  bool post_copy = false;  // is about to begin: no manifest, as nothing has been sent in full. One may still follow
  static constexpr std::string_view kMessage = "vmsec.migration.SwitchRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &SwitchRequest::migration),
                        wire::field(2, "manifest", &SwitchRequest::manifest),
                        wire::field(3, "post_copy", &SwitchRequest::post_copy));
  }
};

struct DecisionRequest {
  Uuid migration;
  Uuid domain;
  std::string reason;  // of an abort
  static constexpr std::string_view kMessage = "vmsec.migration.DecisionRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &DecisionRequest::migration),
                        wire::field(2, "domain", &DecisionRequest::domain),
                        wire::field(3, "reason", &DecisionRequest::reason));
  }
};

// Answers commit and abort: the destination's phase once it was done.
struct DecisionReply {
  Phase phase = Phase::none;
  Microseconds cpu;
  std::string cause;  // why the destination had given up, where it had
  static constexpr std::string_view kMessage = "vmsec.migration.DecisionReply";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "phase", &DecisionReply::phase), wire::field(2, "cpu", &DecisionReply::cpu),
                        wire::field(3, "cause", &DecisionReply::cause));
  }
};

// One end's view of a migration: its record, its hypervisor's word, and whether
// a session of it is still under way.
struct EndView {
  Phase phase = Phase::none;
  bool live = false;
  bool holding_known = false;  // the hypervisor answered
  Holding holding;
  bool superseded = false;  // a later migration of the domain is on record here: what is here is that one's
  static constexpr std::string_view kMessage = "vmsec.migration.EndView";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "phase", &EndView::phase), wire::field(2, "live", &EndView::live),
                        wire::field(3, "holding_known", &EndView::holding_known),
                        wire::field(4, "holding", &EndView::holding),
                        wire::field(5, "superseded", &EndView::superseded));
  }
};

struct ResolveRequest {
  Uuid migration;
  Uuid domain;
  EndView destination;
  static constexpr std::string_view kMessage = "vmsec.migration.ResolveRequest";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &ResolveRequest::migration),
                        wire::field(2, "domain", &ResolveRequest::domain),
                        wire::field(3, "destination", &ResolveRequest::destination));
  }
};

}  // namespace vmsec::migration
