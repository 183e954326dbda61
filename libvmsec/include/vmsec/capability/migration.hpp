// A migration as a session of the backend, the same on every hypervisor.
//
//   source                                destination
//   describe                              prepare
//   start
//   next -> channel (kind, index, fd) ... open (kind, index) -> fd
//           the migration module carries the bytes of each pair of descriptors
//   next -> gate                          next -> gate
//           guest stopped, all sent               all received, not yet loaded
//   decide (proceed or refuse)            decide (proceed or refuse)
//   next -> done                          next -> done
//           this copy can never run               loaded, paused
//                                         activate, or discard
//
// The backend never lets both run: a destination is loaded paused and runs only
// by activate(); a source that was told `refuse`, or whose session fails, goes on.
// Who gives the word (the durable COMMIT) is the migration module's business.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec {

enum class ChannelKind : std::uint32_t {
  unknown = 0,
  control = 1,  // the two hypervisors' own talk; opened first
  main = 2,     // device state, and memory where there is no bulk
  bulk = 3,     // memory, in parallel
  disk = 4,     // a disk that is copied
  urgent = 5,   // pages that the guest waits for (post-copy)
};

// A disk of a domain, as a migration that copies disks sees it.
struct DescribedDisk {
  std::string target;  // "vda"
  Bytes capacity;      // what the guest sees; 0 where it is not copied
  std::string stays;   // why it is not copied ("read-only"): the destination must have it; empty: it is copied
  static constexpr std::string_view kMessage = "vmsec.DescribedDisk";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &DescribedDisk::target),
                        wire::field(2, "capacity", &DescribedDisk::capacity),
                        wire::field(3, "stays", &DescribedDisk::stays));
  }
};

struct DomainDescription {
  Uuid domain;
  std::string name;
  std::string format;         // "libvirt-xml", "libxl-json", "sim-toml"
  std::string configuration;  // what the other side needs to build the domain; the same bytes
                              // as long as the configuration does not change
  Bytes memory;
  std::uint32_t vcpus = 0;
  std::vector<DescribedDisk> disks;  // empty where the backend copies none
  std::uint32_t bulk_channels = 0;   // that this hypervisor opens for it at most; 0: it has none
  static constexpr std::string_view kMessage = "vmsec.DomainDescription";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "domain", &DomainDescription::domain), wire::field(2, "name", &DomainDescription::name),
        wire::field(3, "format", &DomainDescription::format),
        wire::field(4, "configuration", &DomainDescription::configuration),
        wire::field(5, "memory", &DomainDescription::memory), wire::field(6, "vcpus", &DomainDescription::vcpus),
        wire::field(7, "disks", &DomainDescription::disks),
        wire::field(8, "bulk_channels", &DomainDescription::bulk_channels));
  }
};

struct MigrationOptions {
  std::uint32_t bulk_channels = 0;  // 0: everything through main
  BytesPerSecond bandwidth;         // 0: unlimited
  Microseconds maximum_downtime;    // 0: the hypervisor's default
  bool stop_and_copy = false;       // the guest may stand still for the whole transfer, where it cannot
                                    // be moved while it runs
  bool copy_disks = false;          // the disks of the description go along; `unsupported`, before the guest is
                                    // touched, where the backend copies none
  bool auto_converge = false;       // a guest that writes faster than it can be sent may be slowed down;
                                    // `unsupported` where the hypervisor cannot
  bool post_copy = false;           // start_post_copy() may be called; `unsupported` where the hypervisor cannot
  bool recover = false;             // takes up a post-copy of this migration that has broken; see Migration::start
  static constexpr std::string_view kMessage = "vmsec.MigrationOptions";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "bulk_channels", &MigrationOptions::bulk_channels),
                        wire::field(2, "bandwidth", &MigrationOptions::bandwidth),
                        wire::field(3, "maximum_downtime", &MigrationOptions::maximum_downtime),
                        wire::field(4, "stop_and_copy", &MigrationOptions::stop_and_copy),
                        wire::field(5, "copy_disks", &MigrationOptions::copy_disks),
                        wire::field(6, "auto_converge", &MigrationOptions::auto_converge),
                        wire::field(7, "post_copy", &MigrationOptions::post_copy),
                        wire::field(8, "recover", &MigrationOptions::recover));
  }
};

// A session is named by its migration's id, drawn at random by the source, and
// the domain that it moves.
struct SessionRef {
  Uuid migration;
  Uuid domain;
  static constexpr std::string_view kMessage = "vmsec.SessionRef";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &SessionRef::migration),
                        wire::field(2, "domain", &SessionRef::domain));
  }
};

struct StartOutgoing {
  Uuid migration;
  Uuid domain;
  MigrationOptions options;
  static constexpr std::string_view kMessage = "vmsec.StartOutgoing";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &StartOutgoing::migration),
                        wire::field(2, "domain", &StartOutgoing::domain),
                        wire::field(3, "options", &StartOutgoing::options));
  }
};

struct PrepareIncoming {
  Uuid migration;
  Uuid domain;  // must be the description's
  DomainDescription description;
  MigrationOptions options;
  static constexpr std::string_view kMessage = "vmsec.PrepareIncoming";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &PrepareIncoming::migration),
                        wire::field(2, "domain", &PrepareIncoming::domain),
                        wire::field(3, "description", &PrepareIncoming::description),
                        wire::field(4, "options", &PrepareIncoming::options));
  }
};

struct OpenChannel {
  Uuid migration;
  Uuid domain;
  ChannelKind kind = ChannelKind::unknown;
  std::uint32_t index = 0;
  static constexpr std::string_view kMessage = "vmsec.OpenChannel";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &OpenChannel::migration),
                        wire::field(2, "domain", &OpenChannel::domain), wire::field(3, "kind", &OpenChannel::kind),
                        wire::field(4, "index", &OpenChannel::index));
  }
};

// A stream socket. Both directions may carry bytes, and each ends on its own
// (half-close).
struct ChannelEnd {
  Fd fd;
  static constexpr std::string_view kMessage = "vmsec.ChannelEnd";
  static constexpr auto fields() { return wire::fields(wire::field(1, "fd", &ChannelEnd::fd)); }
};

enum class SessionEventKind : std::uint32_t {
  none = 0,     // the time to wait was up
  channel = 1,  // source: the hypervisor opened a channel; `fd` is its near end
  gate = 2,     // waits for decide()
  done = 3,     // source: this copy can never run, though the hypervisor may still be at work on ending it: close()
                // waits for that; destination: loaded, paused
  failed = 4,   // source: the guest goes on here; destination: nothing is left
  doubt = 5,    // the backend cannot know which; see Migration::holding
  refused = 6,  // destination: the peer asked for what this host does not allow (`detail`
                // says what; to be audited). The session ends: `failed` follows
};

struct NextSessionEvent {
  Uuid migration;
  Uuid domain;
  Microseconds wait;
  static constexpr std::string_view kMessage = "vmsec.NextSessionEvent";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &NextSessionEvent::migration),
                        wire::field(2, "domain", &NextSessionEvent::domain),
                        wire::field(3, "wait", &NextSessionEvent::wait));
  }
};

struct SessionEvent {
  SessionEventKind kind = SessionEventKind::none;
  ChannelKind channel = ChannelKind::unknown;
  std::uint32_t index = 0;
  Fd fd;
  std::string detail;  // why it failed or is in doubt
  static constexpr std::string_view kMessage = "vmsec.SessionEvent";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "kind", &SessionEvent::kind), wire::field(2, "channel", &SessionEvent::channel),
                        wire::field(3, "index", &SessionEvent::index), wire::field(4, "fd", &SessionEvent::fd),
                        wire::field(5, "detail", &SessionEvent::detail));
  }
};

struct GateDecision {
  Uuid migration;
  Uuid domain;
  bool proceed = false;
  std::string reason;  // of a refusal
  bool runs = false;   // destination, where post-copy has begun: loads it running; else paused, once all of it is there
  static constexpr std::string_view kMessage = "vmsec.GateDecision";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "migration", &GateDecision::migration),
                        wire::field(2, "domain", &GateDecision::domain),
                        wire::field(3, "proceed", &GateDecision::proceed),
                        wire::field(4, "reason", &GateDecision::reason), wire::field(5, "runs", &GateDecision::runs));
  }
};

struct TransferProgress {
  Bytes total;
  Bytes transferred;
  Bytes remaining;
  BytesPerSecond dirty_rate;
  std::uint32_t iteration = 0;
  Microseconds downtime;  // measured once it is over, else expected; 0: not known
  static constexpr std::string_view kMessage = "vmsec.TransferProgress";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "total", &TransferProgress::total),
                        wire::field(2, "transferred", &TransferProgress::transferred),
                        wire::field(3, "remaining", &TransferProgress::remaining),
                        wire::field(4, "dirty_rate", &TransferProgress::dirty_rate),
                        wire::field(5, "iteration", &TransferProgress::iteration),
                        wire::field(6, "downtime", &TransferProgress::downtime));
  }
};

// What this host has of a domain, session or not (the agent may have restarted).
struct Holding {
  bool present = false;                      // the hypervisor knows the domain
  DomainState state = DomainState::unknown;  // crashed: also what a broken post-copy has left, which is whole nowhere
  bool migrating = false;                    // the hypervisor itself is still busy with it: ask again
  bool moved = false;                        // shut_off: what stood in its memory went to another host, and
                                             // never ran on here. Where the hypervisor cannot tell: false
  static constexpr std::string_view kMessage = "vmsec.Holding";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "present", &Holding::present), wire::field(2, "state", &Holding::state),
                        wire::field(3, "migrating", &Holding::migrating), wire::field(4, "moved", &Holding::moved));
  }
};

// Any thread may call at any time; one thread at a time waits in next().
// Errors beside DomainControl's: `not_found` for a migration without a session,
// `already_exists` for a second session of one domain, `wrong_state` for a call
// that the session's state does not allow, `denied` where this host's own
// policy for incoming domains refuses the configuration.
class Migration {
 public:
  virtual ~Migration() = default;

  // Source. Changes nothing.
  virtual Result<DomainDescription> describe(const DomainRef&) = 0;
  // Source. Begins to send; the session's events tell how it goes. `unsupported`,
  // before the guest is touched, for one that the hypervisor cannot move while it runs,
  // unless stop_and_copy.
  // With recover (and post_copy), at both ends: what is left of the guest's memory follows after all. The source's gate
  // comes at once, then the destination's, which is told to go on with `runs`; then `done`. What fails leaves both
  // copies as they were: `doubt`. `wrong_state` where no post-copy has broken here, `unsupported` where the hypervisor
  // cannot.
  virtual Result<Empty> start(const StartOutgoing&) = 0;
  // Destination. Makes ready to receive this domain and no other. Refuses a
  // domain that is already here. For disks that are copied it makes the images, and
  // refuses where one is already there; after an error none of them is left.
  virtual Result<Empty> prepare(const PrepareIncoming&) = 0;
  // Destination. The near end of a channel that the source's hypervisor opened.
  virtual Result<ChannelEnd> open(const OpenChannel&) = 0;

  virtual Result<SessionEvent> next(const NextSessionEvent&) = 0;
  virtual Result<Empty> decide(const GateDecision&) = 0;
  virtual Result<TransferProgress> progress(const SessionRef&) = 0;
  // Before `done`. The source's guest goes on; a destination discards.
  virtual Result<Empty> cancel(const SessionRef&) = 0;
  // Frees what the session held. The domain stays as it is.
  virtual Result<Empty> close(const SessionRef&) = 0;

  // The calls below need no session: they are what resolving uses after a
  // restart. Each may be repeated.

  virtual Result<Holding> holding(const SessionRef&) = 0;
  // Until activate(), discard(), reclaim() or unhold(), DomainControl's resume() and start() answer `wrong_state`.
  virtual Result<Empty> hold(const SessionRef&) = 0;
  // Destination: runs the loaded, paused domain.
  virtual Result<Empty> activate(const SessionRef&) = 0;
  // Destination: destroys its loaded, paused copy, its definition, and the images that
  // were made for it; after activate() these are the domain's own.
  // `wrong_state` for a domain that runs.
  virtual Result<Empty> discard(const SessionRef&) = 0;
  // Source: the domain goes on here.
  virtual Result<Empty> reclaim(const SessionRef&) = 0;
  // Source: destroys what is left of a copy that does not run, and its definition.
  virtual Result<Empty> release(const SessionRef&) = 0;

  // Source, of a session with post_copy and before its gate: stops the guest, and has what is left of its memory
  // fetched by the destination while it runs there. The gate follows, and the destination is told to load it with
  // `runs`. From success on the guest can be lost, and from the gate on it never goes on here, whatever fails; what the
  // destination has of it is not whole until `done`. `wrong_state` where the transfer has not begun, or the gate was
  // reached first: then it is a migration without post-copy. `timeout`: it may begin still, and is to be cancelled.
  virtual Result<Empty> start_post_copy(const SessionRef&) = 0;

  // Either end, needs no session, may be repeated: neither host has the guest any more. What a broken post-copy has
  // left of it is destroyed; a definition that is here stays, and its owner may start it anew. `wrong_state` while a
  // session of the domain is under way.
  virtual Result<Empty> unhold(const SessionRef&) = 0;
};

template <>
struct Methods<Migration> {
  static constexpr std::string_view kName = "vmsec.Migration";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Describe", &Migration::describe), method(2, "Start", &Migration::start),
                           method(3, "Prepare", &Migration::prepare), method(4, "Open", &Migration::open),
                           method(5, "Next", &Migration::next), method(6, "Decide", &Migration::decide),
                           method(7, "Progress", &Migration::progress), method(8, "Cancel", &Migration::cancel),
                           method(9, "Close", &Migration::close), method(10, "Holding", &Migration::holding),
                           method(11, "Hold", &Migration::hold), method(12, "Activate", &Migration::activate),
                           method(13, "Discard", &Migration::discard), method(14, "Reclaim", &Migration::reclaim),
                           method(15, "Release", &Migration::release),
                           method(16, "StartPostCopy", &Migration::start_post_copy),
                           method(17, "Unhold", &Migration::unhold));
  }
};

template <>
class Proxy<Migration> final : public Remote<Migration> {
 public:
  using Remote::Remote;
  Result<DomainDescription> describe(const DomainRef& r) override { return invoke<1>(r); }
  Result<Empty> start(const StartOutgoing& r) override { return invoke<2>(r); }
  Result<Empty> prepare(const PrepareIncoming& r) override { return invoke<3>(r); }
  Result<ChannelEnd> open(const OpenChannel& r) override { return invoke<4>(r); }
  Result<SessionEvent> next(const NextSessionEvent& r) override { return invoke<5>(r); }
  Result<Empty> decide(const GateDecision& r) override { return invoke<6>(r); }
  Result<TransferProgress> progress(const SessionRef& r) override { return invoke<7>(r); }
  Result<Empty> cancel(const SessionRef& r) override { return invoke<8>(r); }
  Result<Empty> close(const SessionRef& r) override { return invoke<9>(r); }
  Result<Holding> holding(const SessionRef& r) override { return invoke<10>(r); }
  Result<Empty> hold(const SessionRef& r) override { return invoke<11>(r); }
  Result<Empty> activate(const SessionRef& r) override { return invoke<12>(r); }
  Result<Empty> discard(const SessionRef& r) override { return invoke<13>(r); }
  Result<Empty> reclaim(const SessionRef& r) override { return invoke<14>(r); }
  Result<Empty> release(const SessionRef& r) override { return invoke<15>(r); }
  Result<Empty> start_post_copy(const SessionRef& r) override { return invoke<16>(r); }
  Result<Empty> unhold(const SessionRef& r) override { return invoke<17>(r); }
};

}  // namespace vmsec
