// The destination's side of post-copy: the guest runs, and what it lacks is asked for.
#include "incoming.hpp"

namespace vmsec::sim {

// A vCPU that waits for a page may outlive the session: it takes nothing of it along but the channel.
BehindPages::Ask Incoming::ask() {
  struct Asker {
    std::mutex mutex;
    std::shared_ptr<Stream> stream;
  };
  const auto asker = std::make_shared<Asker>();
  {
    const std::lock_guard lock(mutex_);
    const auto found = channels_.find({ChannelKind::urgent, 0});
    if (found != channels_.end()) asker->stream = found->second.stream;
  }
  return [asker](std::size_t page) {
    const PageRequest request{page};
    const std::lock_guard lock(asker->mutex);
    // A channel that is broken is seen by whoever reads it.
    if (asker->stream) static_cast<void>(asker->stream->send(&request, sizeof request));
  };
}

void Incoming::follow(const Control& finish, const Limits& limits) {
  Faults& faults = host_.faults();
  faults.step("destination.decided");
  if (!runs()) return give_up({Code::wrong_state, "its post-copy has begun, and it is not to run here yet", 0, {}});
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
  }
  machine_->memory().behind().begin(arrived_.behind->bits, ask());
  if (auto added = host_.add_loaded(machine_, limits); !added) return give_up(added.error());
  faults.step("destination.loaded");
  Status whole = host_.run_loaded(spec_.uuid);
  faults.step("destination.runs");
  if (whole) whole = send(Control{.kind = ControlKind::runs, .token = finish.token});
  if (whole) whole = await_rest();
  if (!whole) return lose(whole.error());
  // Of use after a restart alone, when its memory is gone either way.
  if (auto noted = host_.note_whole(spec_.uuid); !noted)
    host_.events().add(EventKind::unknown, spec_.uuid, spec_.name, noted.error().message);
  // A source that does not hear it finds out when it resolves: the guest is whole here, and no longer there.
  static_cast<void>(send(Control{.kind = ControlKind::loaded, .token = finish.token}));
  faults.step("destination.answered");
  join_channels();
  machine_.reset();
  end(SessionEventKind::done, {});
}

Status Incoming::await_rest() {
  VMSEC_TRY(const Control sent, receive());
  if (sent.kind != ControlKind::sent) return fail(Code::cancelled, "the source has called it off: " + sent.reason);
  while (true) {
    wait([&] { return all_ended(); }, 1e9);
    VMSEC_CHECK(trouble());
    const std::lock_guard lock(mutex_);
    if (all_ended()) break;
  }
  if (const auto left = machine_->memory().behind().left(); left != 0)
    return fail(Code::io, std::to_string(left) + " pages did not follow the guest");
  const std::lock_guard lock(arrived_.mutex);
  Digest sum;
  for (const auto& digest : arrived_.pages) sum += digest;
  if (sum == Digest{sent.digest_low, sent.digest_high}) return {};
  return fail(Code::io, "the memory that followed is not the memory that was sent");
}

// It has run here: nobody else has it as it is now, and it lacks what did not come.
void Incoming::lose(const Error& why) {
  // Whoever waits for a page, or to ask for one, goes on without: then it can be stopped.
  machine_->memory().behind().give_up();
  {
    const std::lock_guard lock(mutex_);
    break_data();
  }
  host_.lose(spec_.uuid, "its post-copy failed: " + why.message);
  join_channels();
  machine_.reset();
  end(SessionEventKind::doubt, "the post-copy of " + spec_.name + " failed: " + why.message);
}

}  // namespace vmsec::sim
