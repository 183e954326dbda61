#include "outgoing.hpp"

#include <algorithm>
#include <random>

namespace vmsec::sim {

Result<std::shared_ptr<Outgoing>> Outgoing::start(SimHost& host, const StartOutgoing& request, DomainSpec spec,
                                                  std::shared_ptr<Machine> machine) {
  auto session = std::make_shared<Outgoing>(host, request, std::move(spec), std::move(machine));
  VMSEC_CHECK(session->make_channels(host.faults()));
  session->start_engine();
  return session;
}

Outgoing::Outgoing(SimHost& host, const StartOutgoing& request, DomainSpec spec, std::shared_ptr<Machine> machine)
    : Session({spec.uuid, spec.name, spec.memory}, request.migration, request.options),
      host_(host),
      spec_(std::move(spec)),
      machine_(std::move(machine)),
      page_digests_(machine_->memory().pages()) {
  const auto rate = static_cast<double>(options_.bandwidth.value);
  pacer_.set(rate, rate * 0.05);
}

Status Outgoing::make_channels(Faults& faults) {
  const auto make = [&](ChannelKind kind, std::uint32_t index) -> Result<std::unique_ptr<Stream>> {
    Fd near_end;
    VMSEC_TRY(auto stream, Stream::open(kind, index, faults.cut(kind, index), near_end));
    push({SessionEventKind::channel, kind, index, std::move(near_end), {}});
    return stream;
  };
  VMSEC_TRY(auto control, make(ChannelKind::control, 0));
  VMSEC_TRY(main_, make(ChannelKind::main, 0));
  for (std::uint32_t i = 0; i < options_.bulk_channels; ++i) {
    VMSEC_TRY(auto stream, make(ChannelKind::bulk, i));
    bulk_.push_back(std::move(stream));
  }
  if (options_.post_copy) {
    VMSEC_TRY(urgent_, make(ChannelKind::urgent, 0));
    post_copy_ = PostCopy::may;
  }
  for (auto& stream : bulk_) lanes_.push_back(stream.get());
  if (lanes_.empty()) lanes_.push_back(main_.get());
  lane_records_.resize(lanes_.size());
  start_control(std::move(control));
  return {};
}

void Outgoing::break_data() {
  main_->break_off();
  for (auto& stream : bulk_) stream->break_off();
  if (urgent_) urgent_->break_off();
}

void Outgoing::run() {
  Status ready = begin();
  if (ready) ready = precopy();
  if (ready && post_copy_wanted()) return run_post_copy();
  settle_post_copy(PostCopy::too_late);
  if (ready) ready = last_pass();
  if (ready) ready = pass_gate();
  if (!ready) return give_up(ready.error());
  hand_over();
}

Status Outgoing::begin() {
  host_.faults().step("source.begin");
  Control begin{.kind = ControlKind::begin};
  begin.version = kProtocolVersion;
  begin.migration = migration_;
  begin.domain = spec_.uuid;
  begin.memory = spec_.memory;
  begin.bulk = static_cast<std::uint32_t>(bulk_.size());
  VMSEC_CHECK(send(begin));
  VMSEC_TRY(const Control answer, receive());
  if (answer.kind == ControlKind::accept) return {};
  return fail(Code::cancelled, "the destination does not take it: " + answer.reason);
}

// The word is out, and nobody answered: the destination may have loaded its
// copy. This one stays stopped and held until somebody resolves it.
void Outgoing::doubt(const std::string& why) {
  end(SessionEventKind::doubt, spec_.name + " stays paused on both hosts until the migration is resolved: " + why);
}

void Outgoing::give_up(const Error& why) {
  // The destination discards on this word, or when the channel ends.
  static_cast<void>(send(Control{.kind = ControlKind::abort, .reason = why.message}));
  machine_->throttle(0);
  if (stopped_) measure_downtime();
  host_.go_on(spec_.uuid, "its migration failed: " + why.message);
  end(SessionEventKind::failed, "migrate " + spec_.name + ": " + why.message);
}

void Outgoing::hand_over() {
  Faults& faults = host_.faults();
  faults.step("source.decided");
  // Written down before the word leaves: if this process dies from here on, its
  // next one does not start the guest.
  if (auto held = host_.hold_for_move(spec_.uuid); !held) return give_up(held.error());
  faults.step("source.held");

  Digest sum;
  for (const auto& digest : page_digests_) sum += digest;
  Control finish{.kind = ControlKind::finish};
  for (const auto records : lane_records_) finish.records += records;
  finish.digest_low = sum.low;
  finish.digest_high = sum.high;
  std::random_device random;
  finish.token = (static_cast<std::uint64_t>(random()) << 32) | random();
  // A word that was not sent whole cannot be understood: the guest goes on here.
  if (auto sent = send(finish); !sent) return give_up(sent.error());
  faults.step("source.finish_sent");

  const auto answer = receive();
  if (!answer) return doubt(answer.error().message);
  if (answer->kind == ControlKind::refuse)
    return give_up({Code::cancelled, "the destination refused to load it: " + answer->reason, 0, {}});
  if (answer->kind != ControlKind::loaded || answer->token != finish.token)
    return doubt("the destination's answer makes no sense");
  faults.step("source.loaded");
  measure_downtime();
  if (auto gone = host_.forget_moved(spec_.uuid); !gone) return doubt(gone.error().message);
  faults.step("source.released");
  end(SessionEventKind::done, {});
}

void Outgoing::measure_downtime() {
  const double seconds = seconds_between(stopped_at_, Clock::now());
  const std::lock_guard lock(mutex_);
  progress_.downtime.value = static_cast<std::uint64_t>(seconds * 1e6);
}

}  // namespace vmsec::sim
