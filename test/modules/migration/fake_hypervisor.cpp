#include "fake_hypervisor.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>

namespace vmsec::migration::test {
namespace {

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

// Up to `size` bytes; fewer at the end of the stream.
std::string read_up_to(int fd, std::size_t size) {
  std::string out(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t count = ::recv(fd, out.data() + have, size - have, 0);
    if (count <= 0) break;
    have += static_cast<std::size_t>(count);
  }
  out.resize(have);
  return out;
}

// The same, until the other one has something to read.
std::string read_until_ready(int fd, std::size_t size, int other) {
  std::string out;
  while (out.size() < size) {
    pollfd both[] = {{fd, POLLIN, 0}, {other, POLLIN, 0}};
    if (::poll(both, 2, -1) < 0 || both[1].revents != 0) break;
    char bytes[4096];
    const ssize_t count = ::recv(fd, bytes, std::min(sizeof(bytes), size - out.size()), 0);
    if (count <= 0) break;
    out.append(bytes, static_cast<std::size_t>(count));
  }
  return out;
}

std::string_view part_of(std::string_view memory, std::size_t part, std::size_t parts) {
  const std::size_t begin = memory.size() * part / parts, end = memory.size() * (part + 1) / parts;
  return memory.substr(begin, end - begin);
}

std::string length_prefix(std::size_t size) {
  std::string text = std::to_string(size);
  return std::string(12 - text.size(), '0') + text;
}

}  // namespace

FakeHypervisor::~FakeHypervisor() {
  drop_sessions();
  for (const auto& session : old_sessions_)
    if (session->thread.joinable()) session->thread.join();
}

void FakeHypervisor::define(const Uuid& domain, std::string memory) {
  const std::lock_guard lock(mutex_);
  guests_[domain] = {std::move(memory), DomainState::shut_off, false};
  set_state(domain, DomainState::running);
}

void FakeHypervisor::set_state(const Uuid& domain, DomainState state) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(domain);
  if (found == guests_.end()) return;
  const bool ran = found->second.state == DomainState::running, runs = state == DomainState::running;
  found->second.state = state;
  if (ran != runs) watch_.runs(domain, runs ? 1 : -1);
}

void FakeHypervisor::erase(const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  set_state(domain, DomainState::shut_off);
  guests_.erase(domain);
}

void FakeHypervisor::lose_guests() {
  drop_sessions();
  const std::lock_guard lock(mutex_);
  while (!guests_.empty()) erase(guests_.begin()->first);
}

void FakeHypervisor::refuse(const Uuid& migration, std::string detail) {
  const Shared session = find(migration);
  if (!session) return;
  push(session, {SessionEventKind::refused, ChannelKind::unknown, 0, {}, std::move(detail)});
  cut(session);
}

std::string FakeHypervisor::memory(const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(domain);
  return found == guests_.end() ? "" : found->second.memory;
}

DomainState FakeHypervisor::state(const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(domain);
  return found == guests_.end() ? DomainState::unknown : found->second.state;
}

bool FakeHypervisor::held(const Uuid& domain) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(domain);
  return found != guests_.end() && found->second.held;
}

FakeHypervisor::Shared FakeHypervisor::find(const Uuid& migration) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(migration);
  return found == sessions_.end() ? nullptr : found->second;
}

void FakeHypervisor::cut(const Shared& session) {
  const std::lock_guard lock(session->mutex);
  if (session->word == Word::none) session->word = Word::cancelled;
  for (auto& [key, fd] : session->channels) ::shutdown(fd.get(), SHUT_RDWR);
  session->changed.notify_all();
}

void FakeHypervisor::drop_sessions() {
  std::map<Uuid, Shared> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(sessions_);
    for (auto& [id, session] : dropped) old_sessions_.push_back(session);
  }
  for (auto& [id, session] : dropped) {
    cut(session);
    if (session->thread.joinable() && session->thread.get_id() != std::this_thread::get_id()) session->thread.join();
  }
}

void FakeHypervisor::push(const Shared& session, SessionEvent event) {
  const std::lock_guard lock(session->mutex);
  session->events.push_back(std::move(event));
  session->changed.notify_all();
}

void FakeHypervisor::finish(const Shared& session, SessionEventKind kind, std::string detail) {
  {
    const std::lock_guard lock(session->mutex);
    session->over = true;
  }
  push(session, {kind, ChannelKind::unknown, 0, {}, std::move(detail)});
}

int FakeHypervisor::add_channel(const Shared& session, ChannelKind kind, std::uint32_t index, SessionEvent* event) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
  event->kind = SessionEventKind::channel;
  event->channel = kind;
  event->index = index;
  event->fd.reset(pair[1]);
  const std::lock_guard lock(session->mutex);
  session->channels[{kind, index}].reset(pair[0]);
  if (session->word == Word::cancelled) ::shutdown(pair[0], SHUT_RDWR);
  session->changed.notify_all();
  return pair[0];
}

int FakeHypervisor::offer_channel(const Shared& session, ChannelKind kind, std::uint32_t index) {
  SessionEvent event;
  const int end = add_channel(session, kind, index, &event);
  push(session, std::move(event));
  return end;
}

int FakeHypervisor::wait_channel(const Shared& session, ChannelKind kind, std::uint32_t index) {
  std::unique_lock lock(session->mutex);
  session->changed.wait(lock,
                        [&] { return session->channels.contains({kind, index}) || session->word == Word::cancelled; });
  const auto found = session->channels.find({kind, index});
  return found == session->channels.end() ? -1 : found->second.get();
}

FakeHypervisor::Word FakeHypervisor::wait_word(const Shared& session) {
  std::unique_lock lock(session->mutex);
  session->changed.wait(lock, [&] { return session->word != Word::none; });
  return session->word;
}

void FakeHypervisor::send_guest(const Shared& session) {
  const std::string guest = memory(session->domain);
  const std::size_t parts = session->options.bulk_channels + 1;
  std::vector<int> fds;
  const int control = offer_channel(session, ChannelKind::control);
  for (std::size_t i = 0; i < parts; ++i) {
    const auto kind = i == 0 ? ChannelKind::main : ChannelKind::bulk;
    fds.push_back(offer_channel(session, kind, i == 0 ? 0 : static_cast<std::uint32_t>(i - 1)));
  }
  bool sent = !behaviour.never_sends;
  for (std::size_t i = 0; i < parts && sent; ++i) {
    std::string_view part = part_of(guest, i, parts);
    sent = write_all(fds[i], length_prefix(part.size()));
    if (behaviour.hang_after != 0) {
      std::ignore = write_all(fds[i], part.substr(0, behaviour.hang_after));
      wait_word(session);
      sent = false;
    }
    if (sent) sent = write_all(fds[i], part);
    if (sent) written_ += part.size();
    if (behaviour.main == MainChannel::closed_at_the_end) ::shutdown(fds[i], SHUT_WR);
  }
  if (sent) {
    set_state(session->domain, DomainState::paused);
    push(session, {SessionEventKind::gate, ChannelKind::unknown, 0, {}, {}});
  }
  const Word word = wait_word(session);
  if (word != Word::proceed || !sent) {
    cut(session);
    set_state(session->domain, DomainState::running);
    return finish(session, SessionEventKind::failed, "told to give up");
  }
  hand_over(session, control);
}

void FakeHypervisor::hand_over(const Shared& session, int control) {
  std::ignore = write_all(control, "F");
  const std::string answer = read_up_to(control, 1);
  if (answer == "Y") {
    if (!behaviour.leaves_copy) erase(session->domain);
    if (behaviour.guest_dies_at_the_end) return finish(session, SessionEventKind::failed, "the guest's process died");
    return finish(session, SessionEventKind::done, {});
  }
  if (answer == "N" || behaviour.on_cut == OnCut::resume) {
    set_state(session->domain, DomainState::running);
    return finish(session, SessionEventKind::failed, "the destination did not load it");
  }
  finish(session, SessionEventKind::doubt, "the control channel was cut");
}

void FakeHypervisor::receive_guest(const Shared& session) {
  const int control = wait_channel(session, ChannelKind::control, 0);
  std::string guest;
  bool whole = control >= 0;
  for (std::uint32_t i = 0; i <= session->options.bulk_channels && whole; ++i) {
    const int fd =
        i == 0 ? wait_channel(session, ChannelKind::main, 0) : wait_channel(session, ChannelKind::bulk, i - 1);
    const std::string length = read_up_to(fd, 12);
    whole = length.size() == 12;
    if (!whole) break;
    const auto want = static_cast<std::size_t>(std::stoul(length));
    const std::string part = read_up_to(fd, want);
    whole = part.size() == want;
    guest += part;
  }
  whole = whole && read_up_to(control, 1) == "F";
  if (!whole) {
    cut(session);
    return finish(session, SessionEventKind::failed, "the guest did not arrive");
  }
  push(session, {SessionEventKind::gate, ChannelKind::unknown, 0, {}, {}});
  if (wait_word(session) != Word::proceed || behaviour.fail_load) {
    std::ignore = write_all(control, "N");
    return finish(session, SessionEventKind::failed, "refused to load it");
  }
  {
    const std::lock_guard lock(mutex_);
    guests_[session->domain] = {guest, DomainState::paused, true};
  }
  finish(session, SessionEventKind::done, {});
  std::ignore = write_all(control, "Y");
}

// False: it is over, or all of it is to be sent first.
bool FakeHypervisor::wait_post_copy(const Shared& session) {
  if (behaviour.converges == Converges::before) return false;
  std::unique_lock lock(session->mutex);
  session->passes = 2;
  session->changed.wait(lock, [&] { return session->asked || session->word != Word::none; });
  return session->post_copy;
}

void FakeHypervisor::send_in_halves(const Shared& session) {
  const std::string guest = memory(session->domain);
  const int control = offer_channel(session, ChannelKind::control);
  const int main = offer_channel(session, ChannelKind::main);
  bool sent = write_all(main, length_prefix(guest.size())) && write_all(main, part_of(guest, 0, 2));
  written_ += guest.size() / 2;
  const bool follows = sent && wait_post_copy(session);
  if (sent && !follows) sent = write_all(main, part_of(guest, 1, 2));
  if (sent) {
    set_state(session->domain, DomainState::paused);
    push(session, {SessionEventKind::gate, ChannelKind::unknown, 0, {}, {}});
  }
  if (!sent || wait_word(session) != Word::proceed) {
    cut(session);
    if (follows) return lose(session);
    set_state(session->domain, DomainState::running);
    return finish(session, SessionEventKind::failed, "told to give up");
  }
  if (!follows) return hand_over(session, control);
  std::ignore = write_all(control, "F");
  // Its own channel alone: the word before it must be heard.
  if (behaviour.memory_is_cut) ::shutdown(main, SHUT_RDWR);
  std::ignore = write_all(main, part_of(guest, 1, 2));
  ::shutdown(main, SHUT_WR);
  if (read_up_to(control, 1) != "Y") return lose(session);
  erase(session->domain);
  finish(session, SessionEventKind::done, {});
}

void FakeHypervisor::lose(const Shared& session) {
  set_state(session->domain, DomainState::crashed);
  finish(session, SessionEventKind::doubt, "post-copy had begun");
}

void FakeHypervisor::receive_in_halves(const Shared& session) {
  const int control = wait_channel(session, ChannelKind::control, 0);
  const int main = wait_channel(session, ChannelKind::main, 0);
  const std::string length = read_up_to(main, 12);
  const std::size_t size = length.size() == 12 ? std::stoul(length) : 0;
  std::string guest = read_until_ready(main, size, control);
  // The word may overtake what is in the sockets' buffers.
  if (guest.size() < size / 2) guest += read_up_to(main, size / 2 - guest.size());
  if (size == 0 || guest.size() < size / 2 || read_up_to(control, 1) != "F") {
    cut(session);
    return finish(session, SessionEventKind::failed, "the guest did not arrive");
  }
  push(session, {SessionEventKind::gate, ChannelKind::unknown, 0, {}, {}});
  const bool proceeds = wait_word(session) == Word::proceed && !behaviour.fail_load;
  if (proceeds && session->runs) {
    const std::lock_guard lock(mutex_);
    guests_[session->domain] = {guest, DomainState::paused, true, true};
    set_state(session->domain, DomainState::running);
  }
  if (proceeds) guest += read_up_to(main, size - guest.size());
  if (!proceeds || (guest.size() != size && !session->runs)) {
    std::ignore = write_all(control, "N");
    return finish(session, SessionEventKind::failed, "refused to load it");
  }
  if (guest.size() != size) {
    if (!behaviour.runs_on) set_state(session->domain, DomainState::crashed);
    return finish(session, SessionEventKind::doubt, "its memory did not follow");
  }
  {
    const std::lock_guard lock(mutex_);
    if (!session->runs) guests_[session->domain] = {guest, DomainState::paused, true};
    guests_[session->domain].memory = guest;
    guests_[session->domain].behind = false;
  }
  finish(session, SessionEventKind::done, {});
  std::ignore = write_all(control, "Y");
}

void FakeHypervisor::send_again(const Shared& session) {
  const std::string guest = memory(session->domain);
  const int control = offer_channel(session, ChannelKind::control);
  const int main = offer_channel(session, ChannelKind::main);
  push(session, {SessionEventKind::gate, ChannelKind::unknown, 0, {}, {}});
  if (wait_word(session) == Word::proceed) {
    std::ignore = write_all(control, "F");
    if (behaviour.memory_is_cut) ::shutdown(main, SHUT_RDWR);
    std::ignore = write_all(main, length_prefix(guest.size())) && write_all(main, guest);
    ::shutdown(main, SHUT_WR);
  }
  if (read_up_to(control, 1) != "Y") return lose(session);
  erase(session->domain);
  finish(session, SessionEventKind::done, {});
}

void FakeHypervisor::receive_again(const Shared& session) {
  const auto breaks = [&] {
    cut(session);
    if (!behaviour.runs_on) set_state(session->domain, DomainState::crashed);
    finish(session, SessionEventKind::doubt, "its memory did not follow");
  };
  const int control = wait_channel(session, ChannelKind::control, 0);
  const int main = wait_channel(session, ChannelKind::main, 0);
  if (read_up_to(control, 1) != "F") return breaks();
  push(session, {SessionEventKind::gate, ChannelKind::unknown, 0, {}, {}});
  if (wait_word(session) != Word::proceed || !session->runs) return breaks();
  set_state(session->domain, DomainState::running);
  const std::string length = read_up_to(main, 12);
  const std::size_t size = length.size() == 12 ? std::stoul(length) : 0;
  const std::string guest = read_up_to(main, size);
  if (size == 0 || guest.size() != size) return breaks();
  {
    const std::lock_guard lock(mutex_);
    guests_[session->domain].memory = guest;
    guests_[session->domain].behind = false;
  }
  finish(session, SessionEventKind::done, {});
  std::ignore = write_all(control, "Y");
}

// What a broken post-copy has left, or nothing.
Status FakeHypervisor::check_left(const Uuid& domain, bool recovers) {
  if (!recovers) return {};
  const auto found = guests_.find(domain);
  if (found == guests_.end()) return fail(Code::not_found, "no such guest");
  const DomainState state = found->second.state;
  const bool broken = state == DomainState::crashed || (state == DomainState::running && found->second.behind);
  if (!broken) return fail(Code::wrong_state, "no post-copy of it has broken");
  return {};
}

Result<Empty> FakeHypervisor::start_post_copy(const SessionRef& request) {
  const Shared session = find(request.migration);
  if (!session) return fail(Code::not_found, "no such session");
  const std::lock_guard lock(session->mutex);
  if (session->passes == 0 || session->word != Word::none) return fail(Code::wrong_state, "it does not send just now");
  session->asked = true;
  session->post_copy = behaviour.converges == Converges::never;
  session->changed.notify_all();
  if (session->post_copy) return Empty{};
  return fail(Code::wrong_state, "all was sent before");
}

Result<Empty> FakeHypervisor::unhold(const SessionRef& request) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(request.domain);
  if (found == guests_.end()) return Empty{};
  found->second.held = false;
  if (found->second.state == DomainState::crashed) found->second.state = DomainState::shut_off;
  return Empty{};
}

Result<DomainDescription> FakeHypervisor::describe(const DomainRef& domain) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(domain.domain);
  if (found == guests_.end()) return fail(Code::not_found, "no such guest");
  return DomainDescription{domain.domain,  "web-1", "fake", "cpus = 1", {found->second.memory.size()}, 1,
                           behaviour.disks};
}

Result<Empty> FakeHypervisor::start(const StartOutgoing& request) {
  const std::lock_guard lock(mutex_);
  if (!guests_.contains(request.domain)) return fail(Code::not_found, "no such guest");
  VMSEC_CHECK(check_left(request.domain, request.options.recover));
  auto session = std::make_shared<Session>();
  session->domain = request.domain;
  session->options = request.options;
  sessions_[request.migration] = session;
  session->thread = std::thread([this, session] {
    if (session->options.recover) return send_again(session);
    session->options.post_copy ? send_in_halves(session) : send_guest(session);
  });
  return Empty{};
}

Result<Empty> FakeHypervisor::prepare(const PrepareIncoming& request) {
  const std::lock_guard lock(mutex_);
  if (behaviour.refuse_prepare) return fail(Code::denied, "this host's policy refuses the configuration");
  VMSEC_CHECK(check_left(request.domain, request.options.recover));
  if (guests_.contains(request.domain) && !request.options.recover)
    return fail(Code::already_exists, "the guest is here");
  if (request.options.copy_disks && request.description.disks.empty())
    return fail(Code::unsupported, "this hypervisor copies no disks");
  auto session = std::make_shared<Session>();
  session->domain = request.domain;
  session->options = request.options;
  sessions_[request.migration] = session;
  session->thread = std::thread([this, session] {
    if (session->options.recover) return receive_again(session);
    session->options.post_copy ? receive_in_halves(session) : receive_guest(session);
  });
  return Empty{};
}

Result<ChannelEnd> FakeHypervisor::open(const OpenChannel& request) {
  const Shared session = find(request.migration);
  if (!session) return fail(Code::not_found, "no such session");
  SessionEvent event;
  add_channel(session, request.kind, request.index, &event);
  return ChannelEnd{std::move(event.fd)};
}

Result<SessionEvent> FakeHypervisor::next(const NextSessionEvent& request) {
  const Shared session = find(request.migration);
  if (!session) return fail(Code::not_found, "no such session");
  std::unique_lock lock(session->mutex);
  session->changed.wait_for(lock, std::chrono::microseconds(request.wait.value),
                            [&] { return !session->events.empty(); });
  if (session->events.empty()) return SessionEvent{session->last_word, ChannelKind::unknown, 0, {}, {}};
  SessionEvent event = std::move(session->events.front());
  session->events.pop_front();
  const auto ends = {SessionEventKind::done, SessionEventKind::failed, SessionEventKind::doubt};
  if (std::find(ends.begin(), ends.end(), event.kind) != ends.end()) session->last_word = event.kind;
  return event;
}

Result<Empty> FakeHypervisor::decide(const GateDecision& request) {
  const Shared session = find(request.migration);
  if (!session) return fail(Code::not_found, "no such session");
  const std::lock_guard lock(session->mutex);
  session->runs = request.runs;
  if (session->word == Word::none) session->word = request.proceed ? Word::proceed : Word::refuse;
  session->changed.notify_all();
  return Empty{};
}

Result<TransferProgress> FakeHypervisor::progress(const SessionRef& request) {
  TransferProgress progress;
  if (const Shared session = find(request.migration)) {
    const std::lock_guard lock(session->mutex);
    progress.iteration = session->passes;
  }
  progress.transferred = {written_};
  progress.total = {written_};
  return progress;
}

Result<Empty> FakeHypervisor::cancel(const SessionRef& request) {
  const Shared session = find(request.migration);
  if (!session) return fail(Code::not_found, "no such session");
  {
    const std::lock_guard lock(session->mutex);
    if (session->word == Word::proceed) return fail(Code::wrong_state, "it is decided");
  }
  if (!behaviour.refuse_on_cancel.empty())
    push(session, {SessionEventKind::refused, ChannelKind::unknown, 0, {}, behaviour.refuse_on_cancel});
  cut(session);
  return Empty{};
}

Result<Empty> FakeHypervisor::close(const SessionRef& request) {
  Shared session;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(request.migration);
    if (found == sessions_.end()) return Empty{};
    session = found->second;
    old_sessions_.push_back(session);
    sessions_.erase(found);
  }
  cut(session);
  return Empty{};
}

Result<Holding> FakeHypervisor::holding(const SessionRef& request) {
  if (silent) return fail(Code::unavailable, "the hypervisor does not answer");
  const std::lock_guard lock(mutex_);
  Holding holding;
  for (const auto& [id, session] : sessions_) {
    const std::lock_guard guard(session->mutex);
    if (session->domain == request.domain && !session->over) holding.migrating = true;
  }
  const auto found = guests_.find(request.domain);
  if (found == guests_.end()) return holding;
  holding.present = true;
  holding.state = found->second.state;
  if (found->second.behind && holding.state == DomainState::running) holding.migrating = true;
  return holding;
}

Result<Empty> FakeHypervisor::hold(const SessionRef& request) {
  if (silent) return fail(Code::unavailable, "the hypervisor does not answer");
  if (at_hold) at_hold();
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(request.domain);
  if (found == guests_.end()) return fail(Code::not_found, "no such guest");
  found->second.held = true;
  ++holds;
  return Empty{};
}

Result<Empty> FakeHypervisor::activate(const SessionRef& request) {
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(request.domain);
  if (found == guests_.end()) return fail(Code::not_found, "no such guest");
  if (found->second.state == DomainState::crashed || found->second.behind)
    return fail(Code::wrong_state, "its memory is not whole");
  if (found->second.state == DomainState::shut_off) return fail(Code::wrong_state, "its memory is gone");
  found->second.held = false;
  set_state(request.domain, DomainState::running);
  return Empty{};
}

Result<Empty> FakeHypervisor::discard(const SessionRef& request) {
  const std::lock_guard lock(mutex_);
  if (state(request.domain) == DomainState::unknown) return fail(Code::not_found, "no such guest");
  if (state(request.domain) == DomainState::running) return fail(Code::wrong_state, "it runs");
  erase(request.domain);
  return Empty{};
}

Result<Empty> FakeHypervisor::reclaim(const SessionRef& request) {
  if (reclaim_blocked && reclaim_blocked()) return fail(Code::unavailable, "its disks are locked");
  const std::lock_guard lock(mutex_);
  const auto found = guests_.find(request.domain);
  if (found == guests_.end()) return fail(Code::not_found, "no such guest");
  found->second.held = false;
  set_state(request.domain, DomainState::running);
  return Empty{};
}

Result<Empty> FakeHypervisor::release(const SessionRef& request) { return discard(request); }

}  // namespace vmsec::migration::test
