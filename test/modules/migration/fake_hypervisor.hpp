// A tiny hypervisor: a guest is a string, a migration pumps it through channels.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "vmsec/capability/migration.hpp"

namespace vmsec::migration::test {

// Watches all hosts: no guest may ever run twice.
class Watch {
 public:
  void runs(const Uuid& domain, int change) {
    const std::lock_guard lock(mutex_);
    running_[domain] += change;
    if (running_[domain] > 1) violated_ = true;
  }
  [[nodiscard]] bool violated() const { return violated_; }

 private:
  std::mutex mutex_;
  std::map<Uuid, int> running_;
  std::atomic<bool> violated_ = false;
};

// What a cut in the middle of the switch-over does to the source's copy.
enum class OnCut { resume, stay_paused };
enum class MainChannel { closed_at_the_end, kept_open };

enum class Converges { never, before, when_asked };

struct Behaviour {
  OnCut on_cut = OnCut::stay_paused;
  MainChannel main = MainChannel::closed_at_the_end;
  bool refuse_prepare = false;
  bool fail_load = false;
  bool guest_dies_at_the_end = false;  // once it was handed over; `failed` is all that the hypervisor says
  bool leaves_copy = false;            // once it was handed over it died; the copy stays, stopped
  bool never_sends = false;
  std::string refuse_on_cancel;  // what was refused is known only then
  std::vector<DescribedDisk> disks;
  std::size_t hang_after = 0;              // the source sends so many bytes and then nothing; 0: all
  Converges converges = Converges::never;  // of a session that may have post-copy
  bool memory_is_cut = false;              // in a post-copy, while it follows
  bool runs_on = false;                    // a destination then, until it needs a page
};

class FakeHypervisor final : public Migration {
 public:
  explicit FakeHypervisor(Watch& watch) : watch_(watch) {}
  ~FakeHypervisor() override;

  void define(const Uuid& domain, std::string memory);
  // The agent is gone: its end of every channel closes.
  void drop_sessions();
  // The host lost power and came back.
  void lose_guests();
  // The guest powers itself off: its definition stays.
  void power_off(const Uuid& domain) { set_state(domain, DomainState::shut_off); }
  void pause(const Uuid& domain) { set_state(domain, DomainState::paused); }
  std::function<bool()> reclaim_blocked;  // by a lock that another host holds
  std::atomic<bool> silent = false;       // holding and hold are not answered
  std::function<void()> at_hold;          // before it is done
  std::atomic<int> holds = 0;             // that were done
  // The peer has asked for what this host does not allow.
  void refuse(const Uuid& migration, std::string detail);
  [[nodiscard]] std::string memory(const Uuid& domain);
  [[nodiscard]] DomainState state(const Uuid& domain);  // unknown: not here
  [[nodiscard]] bool held(const Uuid& domain);
  [[nodiscard]] std::uint64_t guest_bytes_written() const { return written_; }

  Behaviour behaviour;

  Result<DomainDescription> describe(const DomainRef&) override;
  Result<Empty> start(const StartOutgoing&) override;
  Result<Empty> prepare(const PrepareIncoming&) override;
  Result<ChannelEnd> open(const OpenChannel&) override;
  Result<SessionEvent> next(const NextSessionEvent&) override;
  Result<Empty> decide(const GateDecision&) override;
  Result<TransferProgress> progress(const SessionRef&) override;
  Result<Empty> cancel(const SessionRef&) override;
  Result<Empty> close(const SessionRef&) override;
  Result<Holding> holding(const SessionRef&) override;
  Result<Empty> hold(const SessionRef&) override;
  Result<Empty> activate(const SessionRef&) override;
  Result<Empty> discard(const SessionRef&) override;
  Result<Empty> reclaim(const SessionRef&) override;
  Result<Empty> release(const SessionRef&) override;
  Result<Empty> start_post_copy(const SessionRef&) override;
  Result<Empty> unhold(const SessionRef&) override;

 private:
  struct Guest {
    std::string memory;
    DomainState state = DomainState::running;
    bool held = false;
    bool behind = false;  // a post-copy has not brought all of its memory
  };
  enum class Word { none, proceed, refuse, cancelled };
  struct Session {
    Uuid domain;
    MigrationOptions options;
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<SessionEvent> events;
    Word word = Word::none;
    bool over = false;
    std::uint32_t passes = 0;
    bool asked = false;                                            // for a post-copy
    bool post_copy = false;                                        // has begun
    bool runs = false;                                             // is to be loaded running
    SessionEventKind last_word = SessionEventKind::none;           // said again whenever it is asked
    std::map<std::pair<ChannelKind, std::uint32_t>, Fd> channels;  // our ends
    std::thread thread;
  };
  using Shared = std::shared_ptr<Session>;

  void send_guest(const Shared& session);
  void hand_over(const Shared& session, int control);
  void receive_guest(const Shared& session);
  // The same with post-copy: half of the memory before the gate, half behind it.
  void send_in_halves(const Shared& session);
  void receive_in_halves(const Shared& session);
  // What a broken one has left behind is sent again, all of it.
  void send_again(const Shared& session);
  void receive_again(const Shared& session);
  void lose(const Shared& session);
  bool wait_post_copy(const Shared& session);
  void finish(const Shared& session, SessionEventKind kind, std::string detail);
  int add_channel(const Shared& session, ChannelKind kind, std::uint32_t index, SessionEvent* event);
  // The same of a source, which tells of each channel as it comes.
  int offer_channel(const Shared& session, ChannelKind kind, std::uint32_t index = 0);
  int wait_channel(const Shared& session, ChannelKind kind, std::uint32_t index);
  Word wait_word(const Shared& session);
  static void push(const Shared& session, SessionEvent event);
  static void cut(const Shared& session);
  void set_state(const Uuid& domain, DomainState state);
  Status check_left(const Uuid& domain, bool recovers);
  void erase(const Uuid& domain);
  Shared find(const Uuid& migration);

  Watch& watch_;
  std::recursive_mutex mutex_;
  std::map<Uuid, Guest> guests_;
  std::map<Uuid, Shared> sessions_;
  std::vector<Shared> old_sessions_;
  std::atomic<std::uint64_t> written_ = 0;
};

}  // namespace vmsec::migration::test
