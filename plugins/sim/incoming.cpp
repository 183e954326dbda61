#include "incoming.hpp"

#include <algorithm>

namespace vmsec::sim {

std::shared_ptr<Incoming> Incoming::start(SimHost& host, const PrepareIncoming& request, DomainSpec spec,
                                          std::shared_ptr<Machine> machine) {
  auto session = std::make_shared<Incoming>(host, request, std::move(spec), std::move(machine));
  session->start_engine();
  return session;
}

Incoming::Incoming(SimHost& host, const PrepareIncoming& request, DomainSpec spec, std::shared_ptr<Machine> machine)
    : Session({spec.uuid, spec.name, spec.memory}, request.migration, request.options),
      host_(host),
      spec_(std::move(spec)),
      machine_(std::move(machine)) {
  arrived_.pages.resize(machine_->memory().pages());
  arrived_.on_behind = [this] {
    const std::lock_guard lock(mutex_);
    behind_ = true;
    changed_.notify_all();
  };
}

Result<ChannelEnd> Incoming::open(const OpenChannel& request) {
  const std::string what = "open a channel for " + spec_.name;
  const auto number = std::to_string(static_cast<std::uint32_t>(request.kind));
  const bool bulk = request.kind == ChannelKind::bulk;
  const bool urgent = request.kind == ChannelKind::urgent && options_.post_copy;
  if (!bulk && !urgent && request.kind != ChannelKind::control && request.kind != ChannelKind::main)
    return fail(Code::unsupported, what + ": the simulated hypervisor has none of kind " + number);
  if (request.index >= (bulk ? kBulkMaximum : 1))
    return fail(Code::invalid_argument, what + ": none has index " + std::to_string(request.index));
  ChannelEnd near_end;
  VMSEC_TRY(auto stream,
            Stream::open(request.kind, request.index, host_.faults().cut(request.kind, request.index), near_end.fd));
  const std::lock_guard lock(mutex_);
  if (refusing_) return fail(Code::wrong_state, what + ": its session has ended");
  const ChannelName name{request.kind, request.index};
  if (channels_.contains(name) || (request.kind == ChannelKind::control && has_control()))
    return fail(Code::already_exists, what + ": it is open");
  if (request.kind == ChannelKind::control) {
    start_control(std::move(stream));
    changed_.notify_all();
    return near_end;
  }
  Channel& channel = channels_[name];
  channel.stream = std::move(stream);
  channel.reader = std::thread([this, &channel] { read_channel(channel); });
  return near_end;
}

void Incoming::read_channel(Channel& channel) {
  const auto receive = [&](void* bytes, std::size_t size) { return channel.stream->receive(bytes, size); };
  const Status read = read_data(receive, machine_->memory(), arrived_);
  if (!read) return fail_data(read.error());
  const std::lock_guard lock(mutex_);
  channel.ended = true;
  changed_.notify_all();
}

void Incoming::break_data() {
  for (auto& [name, channel] : channels_) channel.stream->break_off();
}

void Incoming::join_channels() {
  {
    const std::lock_guard lock(mutex_);
    refusing_ = true;
    break_data();
  }
  for (auto& [name, channel] : channels_)
    if (channel.reader.joinable()) channel.reader.join();
}

void Incoming::run() {
  Status ready = await_control();
  if (ready) ready = begin();
  if (!ready) return give_up(ready.error());
  auto finish = transfer();
  if (!finish) return give_up(finish.error());
  auto limits = restore(finish->behind ? Machine::Memory::follows : Machine::Memory::whole);
  if (!limits) return give_up(limits.error());
  host_.faults().step("destination.received");
  if (auto passed = pass_gate(); !passed) return give_up(passed.error());
  if (finish->behind) return follow(*finish, *limits);
  load(*finish, *limits);
}

Status Incoming::begin() {
  VMSEC_TRY(const Control begin, receive());
  if (begin.kind != ControlKind::begin) return fail(Code::invalid_argument, "the source did not begin");
  if (begin.version != kProtocolVersion)
    return fail(Code::unsupported, "the source speaks version " + std::to_string(begin.version) + ", this host " +
                                       std::to_string(kProtocolVersion));
  if (begin.migration != migration_ || begin.domain != spec_.uuid || begin.memory != spec_.memory)
    return fail(Code::invalid_argument, "the source sends another domain than the one that was prepared for");
  host_.faults().step("destination.begin");
  {
    const std::lock_guard lock(mutex_);
    bulk_ = begin.bulk;
  }
  return send(Control{.kind = ControlKind::accept});
}

bool Incoming::all_ended() const {
  const auto ended = [](const auto& entry) { return entry.second.ended; };
  if (!std::ranges::all_of(channels_, ended) || !channels_.contains({ChannelKind::main, 0})) return false;
  return channels_.size() == bulk_ + std::size_t{1} + (options_.post_copy ? 1 : 0);
}

Result<Control> Incoming::transfer() {
  VMSEC_TRY(Control finish, receive());
  if (finish.kind == ControlKind::abort) return fail(Code::cancelled, "the source called it off: " + finish.reason);
  if (finish.kind != ControlKind::finish) return fail(Code::invalid_argument, "the source did not finish");
  if (finish.behind && !options_.post_copy)
    return fail(Code::invalid_argument, "the source says that pages are behind, and post-copy was not agreed on");
  const auto here = [&] { return finish.behind ? behind_ : all_ended(); };
  while (true) {
    wait(here, 1e9);
    VMSEC_CHECK(trouble());
    const std::lock_guard lock(mutex_);
    if (here()) break;
  }
  VMSEC_CHECK(check(finish));
  return finish;
}

Status Incoming::check(const Control& finish) {
  const std::lock_guard lock(arrived_.mutex);
  const bool behind = finish.behind;
  const std::uint64_t records = behind ? arrived_.behind->records : arrived_.records;
  if (records != finish.records)
    return fail(Code::io,
                "received " + std::to_string(records) + " pages, of " + std::to_string(finish.records) + " sent");
  Digest sum;
  if (behind) sum = arrived_.behind->pages;
  if (!behind)
    for (const auto& digest : arrived_.pages) sum += digest;
  if (sum != Digest{finish.digest_low, finish.digest_high})
    return fail(Code::io, "the memory that arrived is not the memory that was sent");
  return {};
}

Result<Limits> Incoming::restore(Machine::Memory memory) {
  const std::lock_guard lock(arrived_.mutex);
  if (!arrived_.state) return fail(Code::io, "the machine's state did not arrive");
  VMSEC_CHECK(machine_->restore(*arrived_.state, memory));
  return arrived_.state->limits;
}

void Incoming::give_up(const Error& why) {
  static_cast<void>(send(Control{.kind = ControlKind::refuse, .reason = why.message}));
  join_channels();
  machine_.reset();
  end(SessionEventKind::failed, "receive " + spec_.name + ": " + why.message);
}

void Incoming::load(const Control& finish, const Limits& limits) {
  Faults& faults = host_.faults();
  faults.step("destination.decided");
  join_channels();
  if (auto added = host_.add_loaded(machine_, limits); !added) return give_up(added.error());
  faults.step("destination.loaded");
  // An answer that was not sent whole cannot be understood: the source cannot let go.
  if (auto sent = send(Control{.kind = ControlKind::loaded, .token = finish.token}); !sent) {
    if (auto gone = host_.destroy(spec_.uuid, SimHost::Copy::destination); !gone)
      return end(SessionEventKind::doubt, "receive " + spec_.name + ": " + gone.error().message);
    return give_up(sent.error());
  }
  faults.step("destination.answered");
  machine_.reset();
  end(SessionEventKind::done, {});
}

}  // namespace vmsec::sim
