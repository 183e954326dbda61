// Moving a domain to another host. Implemented by the migration module.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/migration.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec {

enum class Cipher : std::uint32_t {
  policy = 0,  // what this host's configuration says ([module.migration] cipher)
  aes_128_gcm = 1,
  aes_256_gcm = 2,
  chacha20_poly1305 = 3,
  none = 4,  // authenticated, readable: for benchmarks, where both ends' configurations allow it
};

inline std::string_view to_string(Cipher cipher) {
  switch (cipher) {
    case Cipher::policy:
      return "policy";
    case Cipher::aes_128_gcm:
      return "aes-128-gcm";
    case Cipher::aes_256_gcm:
      return "aes-256-gcm";
    case Cipher::chacha20_poly1305:
      return "chacha20-poly1305";
    case Cipher::none:
      return "none";
  }
  return "unknown";
}

// As an operator sees it; the durable record's phases are in docs/migration-protocol.md.
enum class MigrationState : std::uint32_t {
  unknown = 0,
  preparing = 1,     // connecting, ticket, attestation
  transferring = 2,  // pre-copy; the guest runs at the source
  switching = 3,     // the guest is stopped
  completed = 4,     // runs at the destination
  failed = 5,        // runs at the source (or was never touched)
  in_doubt = 6,      // not decided: the source may run it, or neither end, until `resolve`; or a post-copy that broke
  following = 7,     // post-copy: it runs at the destination, and what is left of its memory follows
  lost = 8,          // neither end has it any more: it can be started anew from its disks
};

inline std::string_view to_string(MigrationState state) {
  switch (state) {
    case MigrationState::unknown:
      return "unknown";
    case MigrationState::preparing:
      return "preparing";
    case MigrationState::transferring:
      return "transferring";
    case MigrationState::switching:
      return "switching";
    case MigrationState::completed:
      return "completed";
    case MigrationState::failed:
      return "failed";
    case MigrationState::in_doubt:
      return "in doubt";
    case MigrationState::following:
      return "following";
    case MigrationState::lost:
      return "lost";
  }
  return "unknown";
}

// No limit, in so many words: 0 leaves it to the configuration.
inline constexpr BytesPerSecond kUnlimitedBandwidth{~std::uint64_t{0}};
// Everything through main, in so many words.
inline constexpr std::uint32_t kNoBulkChannels = ~std::uint32_t{0};

struct MigrateRequest {
  Uuid domain;
  std::string destination;  // a [[peer]]'s name
  std::string ticket;       // an encoded SignedTicket
  Cipher cipher = Cipher::policy;
  MigrationOptions options;   // what is 0 or false in them: as this host's configuration says
  Microseconds maximum_time;  // given up when its switch-over does not begin by then; 0: as the configuration says
  static constexpr std::string_view kMessage = "vmsec.MigrateRequest";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "domain", &MigrateRequest::domain), wire::field(2, "destination", &MigrateRequest::destination),
        wire::field(3, "ticket", &MigrateRequest::ticket), wire::field(4, "cipher", &MigrateRequest::cipher),
        wire::field(5, "options", &MigrateRequest::options),
        wire::field(6, "maximum_time", &MigrateRequest::maximum_time));
  }
};

struct MigrationRef {
  Uuid migration;
  Microseconds wait;  // status: how long to wait for the end
  static constexpr std::string_view kMessage = "vmsec.MigrationRef";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &MigrationRef::migration),
                        wire::field(2, "wait", &MigrationRef::wait));
  }
};

// Progress while it runs, the whole report when it has ended.
struct MigrationStatus {
  Uuid migration;
  Uuid domain;
  std::string name;
  bool outgoing = false;
  std::string peer;
  MigrationState state = MigrationState::unknown;
  std::string cause;     // why it failed, is in doubt or lost
  Code code = Code::ok;  // the cause's
  TransferProgress transfer;
  std::string cipher;  // "AES-128-GCM by OpenSSL 3.0.17 EVP"
  std::uint32_t streams = 0;
  Bytes bytes_sent;   // on the wire, by the streams: guest_bytes and what encryption adds
  Bytes guest_bytes;  // what the hypervisor handed over
  Microseconds total_time;
  Microseconds downtime;   // from the gate at the source to activation's acknowledgement
  Microseconds local_cpu;  // of this agent, for this migration
  Microseconds peer_cpu;
  std::string attested;  // "host-b: trusted", or why nobody was
  UnixSeconds started;
  std::string disks;         // of a migration that copies disks: "vda copied; vdb not: read-only"
  BytesPerSecond bandwidth;  // what the streams may send; 0: unlimited, or not this host's to say
  static constexpr std::string_view kMessage = "vmsec.MigrationStatus";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "migration", &MigrationStatus::migration), wire::field(2, "domain", &MigrationStatus::domain),
        wire::field(3, "name", &MigrationStatus::name), wire::field(4, "outgoing", &MigrationStatus::outgoing),
        wire::field(5, "peer", &MigrationStatus::peer), wire::field(6, "state", &MigrationStatus::state),
        wire::field(7, "cause", &MigrationStatus::cause), wire::field(8, "code", &MigrationStatus::code),
        wire::field(9, "transfer", &MigrationStatus::transfer), wire::field(10, "cipher", &MigrationStatus::cipher),
        wire::field(11, "streams", &MigrationStatus::streams),
        wire::field(12, "bytes_sent", &MigrationStatus::bytes_sent),
        wire::field(13, "guest_bytes", &MigrationStatus::guest_bytes),
        wire::field(14, "total_time", &MigrationStatus::total_time),
        wire::field(15, "downtime", &MigrationStatus::downtime),
        wire::field(16, "local_cpu", &MigrationStatus::local_cpu),
        wire::field(17, "peer_cpu", &MigrationStatus::peer_cpu),
        wire::field(18, "attested", &MigrationStatus::attested), wire::field(19, "started", &MigrationStatus::started),
        wire::field(20, "disks", &MigrationStatus::disks), wire::field(21, "bandwidth", &MigrationStatus::bandwidth));
  }
};

struct MigrationList {
  std::vector<MigrationStatus> migrations;
  static constexpr std::string_view kMessage = "vmsec.MigrationList";
  static constexpr auto fields() { return wire::fields(wire::field(1, "migrations", &MigrationList::migrations)); }
};

struct ResolveMigration {
  Uuid migration;      // nil: all that are not decided
  std::string fenced;  // the operator's word that this host is off, and stays off
  static constexpr std::string_view kMessage = "vmsec.ResolveMigration";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &ResolveMigration::migration),
                        wire::field(2, "fenced", &ResolveMigration::fenced));
  }
};

// Changes a migration that is under way.
struct SetMigration {
  Uuid domain;
  BytesPerSecond bandwidth;  // of all of its streams together, or kUnlimitedBandwidth
  static constexpr std::string_view kMessage = "vmsec.SetMigration";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &SetMigration::domain),
                        wire::field(2, "bandwidth", &SetMigration::bandwidth));
  }
};

// Any thread. Refusals before the first guest byte leave the domain untouched.
class Migrator {
 public:
  virtual ~Migrator() = default;
  // Begins, and answers at once with the migration's id. What goes wrong later is in its status.
  // `not_found`: no such domain; `already_exists`: another migration of it is not over.
  virtual Result<MigrationStatus> migrate(const MigrateRequest&) = 0;
  // `not_found`: neither under way nor kept.
  virtual Result<MigrationStatus> status(const MigrationRef&) = 0;
  // Those under way, in doubt, and the last 100 that ended; the one that began last is the last.
  virtual Result<MigrationList> list(const Empty&) = 0;
  // Brings what is not decided to its one end, from both sides' records.
  // `in_doubt` while the peer that knows cannot be reached.
  virtual Result<MigrationList> resolve(const ResolveMigration&) = 0;
  // Asks for the end of an outgoing one, and waits for it as status() does: the answer may still be under
  // way. The guest goes on at the source. `wrong_state` past the point of return, `not_found` for an unknown one.
  virtual Result<MigrationStatus> abort(const MigrationRef&) = 0;
  // Of the domain's outgoing migration, at once, and on record. `not_found` where none is under way,
  // `invalid_argument` for a bandwidth by which nothing would move.
  virtual Result<MigrationStatus> set(const SetMigration&) = 0;
  // Takes up an outgoing migration whose post-copy has broken: what is left of the guest's memory follows. Begins, and
  // answers at once; it ends `completed`, or `in doubt` as before. `not_found`: not on record here as an outgoing one;
  // `wrong_state`: its post-copy has not broken, or what it left here is gone; `already_exists`: it is under way.
  virtual Result<MigrationStatus> recover(const MigrationRef&) = 0;
};

template <>
struct Methods<Migrator> {
  static constexpr std::string_view kName = "vmsec.Migrator";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Migrate", &Migrator::migrate), method(2, "Status", &Migrator::status),
                           method(3, "List", &Migrator::list), method(4, "Resolve", &Migrator::resolve),
                           method(5, "Abort", &Migrator::abort), method(6, "Set", &Migrator::set),
                           method(7, "Recover", &Migrator::recover));
  }
};

template <>
class Proxy<Migrator> final : public Remote<Migrator> {
 public:
  using Remote::Remote;
  Result<MigrationStatus> migrate(const MigrateRequest& r) override { return invoke<1>(r); }
  Result<MigrationStatus> status(const MigrationRef& r) override { return invoke<2>(r); }
  Result<MigrationList> list(const Empty& r) override { return invoke<3>(r); }
  Result<MigrationList> resolve(const ResolveMigration& r) override { return invoke<4>(r); }
  Result<MigrationStatus> abort(const MigrationRef& r) override { return invoke<5>(r); }
  Result<MigrationStatus> set(const SetMigration& r) override { return invoke<6>(r); }
  Result<MigrationStatus> recover(const MigrationRef& r) override { return invoke<7>(r); }
};

}  // namespace vmsec
