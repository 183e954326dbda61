#include "fake_host.hpp"

#include <sys/socket.h>

#include <chrono>
#include <thread>

#include "key_schedule.hpp"

namespace vmsec::migration::test {
namespace {

std::string guest_memory() {
  std::string memory(3'000'000, '\0');
  std::uint32_t seed = 12345;
  for (char& byte : memory) byte = static_cast<char>((seed = seed * 1664525 + 1013904223) >> 24);
  return memory;
}

class FakePeers final : public Peers {
 public:
  FakePeers(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<PeerContext> connect(const ConnectPeer& r) override {
    return host_.act<PeerContext>(life_, "peers.connect", [&] { return host_.network.connect(host_.name, r.host); });
  }
  Result<PeerReply> call(const CallPeer& r) override {
    return host_.act<PeerReply>(life_, "peers.call", [&] { return host_.network.call(host_.name, r); });
  }
  Result<StreamEnd> open_stream(const OpenStream& r) override {
    return host_.act<StreamEnd>(life_, "peers.open_stream", [&] { return host_.network.open_stream(host_.name, r); });
  }
  Result<PeerContext> check(const ConnectionRef& r) override {
    return host_.act<PeerContext>(life_, "peers.check", [&]() -> Result<PeerContext> {
      if (host_.peer_revoked) return fail(Code::unauthenticated, "the certificate is revoked");
      return host_.network.seen_from(host_.name, r.connection);
    });
  }
  Result<Empty> close(const ConnectionRef& r) override {
    if (!life_->dead) host_.network.close(r.connection);
    return Empty{};
  }

 private:
  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

class FakeRecords final : public Records {
 public:
  FakeRecords(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<Empty> put(const Record& r) override {
    return host_.act<Empty>(life_, "records.put", [&]() -> Result<Empty> {
      const auto record = wire::decode<OwnershipRecord>(r.value);
      const std::lock_guard lock(host_.mutex);
      if (record && to_string(record->phase) == host_.records_fail_at) return fail(Code::io, "the disk is full");
      host_.disk[r.key] = r.value;
      return Empty{};
    });
  }
  Result<Record> get(const RecordKey& r) override {
    const std::lock_guard lock(host_.mutex);
    const auto found = host_.disk.find(r.key);
    if (found == host_.disk.end()) return fail(Code::not_found, "no such record");
    return Record{found->first, found->second};
  }
  Result<Empty> remove(const RecordKey& r) override {
    const std::lock_guard lock(host_.mutex);
    if (!life_->dead) host_.disk.erase(r.key);
    return Empty{};
  }
  Result<RecordList> list(const RecordKey&) override {
    const std::lock_guard lock(host_.mutex);
    RecordList out;
    for (const auto& [key, value] : host_.disk) out.records.push_back({key, value});
    return out;
  }

 private:
  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

class FakeJournal final : public Journal {
 public:
  FakeJournal(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<Empty> audit(const AuditEntry& r) override {
    return host_.act<Empty>(life_, "journal.audit", [&]() -> Result<Empty> {
      if (host_.audit_fails) return fail(Code::io, "the audit log cannot be written");
      const std::lock_guard lock(host_.mutex);
      host_.journal.push_back(r);
      return Empty{};
    });
  }
  Result<Empty> log(const LogLine& r) override {
    const std::lock_guard lock(host_.mutex);
    host_.log.push_back(r.text);
    return Empty{};
  }

 private:
  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

class FakeAuthority final : public Authority {
 public:
  FakeAuthority(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<TicketClaims> spend(const SpendTicket& r) override {
    return host_.act<TicketClaims>(life_, "authority.spend", [&]() -> Result<TicketClaims> {
      if (host_.at_ticket) host_.at_ticket(r.ticket);
      if (!r.ticket.starts_with("ticket")) return fail(Code::denied, "no placement key has signed this ticket");
      if (r.configuration_digest != *sha256("cpus = 1")) return fail(Code::denied, "another configuration");
      const std::lock_guard lock(host_.mutex);
      if (!host_.spent.insert(r.ticket).second) return fail(Code::denied, "the ticket is spent");
      return TicketClaims{};
    });
  }

 private:
  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

class FakeModules final : public Modules {
 public:
  FakeModules(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<ModuleReply> call(const CallModule& r) override {
    if (r.method == 5) return changes_after(r);
    return host_.act<ModuleReply>(life_, "modules.call", [&]() -> Result<ModuleReply> {
      if (!host_.has_attestation) return fail(Code::not_found, "no module provides " + r.interface);
      VMSEC_TRY(const AttestHost request, wire::decode<AttestHost>(r.payload));
      VMSEC_TRY(const PeerContext peer, host_.network.seen_from(host_.name, request.connection));
      ++host_.attestations;
      AttestationReport report;
      report.host = peer.peer;
      const std::lock_guard lock(host_.mutex);
      report.verdict = host_.verdict;
      report.cause = host_.verdict == Verdict::trusted ? "" : "PCR 4 differs";
      return ModuleReply{wire::encode(report)};
    });
  }

 private:
  // Asked again and again: no step.
  Result<ModuleReply> changes_after(const CallModule& r) {
    if (life_->dead) return fail(Code::unavailable, "the agent is dead");
    if (!host_.has_attestation) return fail(Code::not_found, "no module provides " + r.interface);
    if (host_.next_fails != Code::ok) return fail(host_.next_fails, "no changes are told");
    VMSEC_TRY(const NextVerdicts request, wire::decode<NextVerdicts>(r.payload));
    const std::lock_guard lock(host_.mutex);
    AttestationChanges out;
    out.last = host_.changes.size();
    out.missed = host_.missed;
    for (const AttestationChange& each : host_.changes)
      if (each.sequence > request.after) out.changes.push_back(each);
    return ModuleReply{wire::encode(out)};
  }

  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

class FakeDomains final : public DomainControl {
 public:
  FakeDomains(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<DomainList> list(const Empty&) override { return DomainList{}; }
  Result<DomainInfo> get(const DomainRef& r) override {
    DomainInfo info;
    info.domain = r.domain;
    info.state = host_.hypervisor.state(r.domain);
    if (info.state == DomainState::unknown) return fail(Code::not_found, "no such domain");
    return info;
  }
  Result<Empty> pause(const DomainRef&) override { return Empty{}; }
  Result<Empty> resume(const DomainRef&) override { return Empty{}; }

 private:
  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

// The agent's way to its hypervisor: it ends with the agent, the hypervisor does not.
class FakeMigration final : public Migration {
 public:
  FakeMigration(FakeHost& host, std::shared_ptr<Life> life) : host_(host), life_(std::move(life)) {}
  Result<DomainDescription> describe(const DomainRef& r) override { return act("describe", &Migration::describe, r); }
  Result<Empty> start(const StartOutgoing& r) override { return act("start", &Migration::start, r); }
  Result<Empty> prepare(const PrepareIncoming& r) override { return act("prepare", &Migration::prepare, r); }
  Result<ChannelEnd> open(const OpenChannel& r) override { return act("open", &Migration::open, r); }
  Result<Empty> decide(const GateDecision& r) override { return act("decide", &Migration::decide, r); }
  Result<Empty> cancel(const SessionRef& r) override { return act("cancel", &Migration::cancel, r); }
  Result<Empty> close(const SessionRef& r) override { return act("close", &Migration::close, r); }
  Result<Empty> hold(const SessionRef& r) override { return act("hold", &Migration::hold, r); }
  Result<Empty> activate(const SessionRef& r) override { return act("activate", &Migration::activate, r); }
  Result<Empty> discard(const SessionRef& r) override { return act("discard", &Migration::discard, r); }
  Result<Empty> reclaim(const SessionRef& r) override { return act("reclaim", &Migration::reclaim, r); }
  Result<Empty> release(const SessionRef& r) override { return act("release", &Migration::release, r); }
  Result<Empty> start_post_copy(const SessionRef& r) override {
    return act("start_post_copy", &Migration::start_post_copy, r);
  }
  Result<Empty> unhold(const SessionRef& r) override { return act("unhold", &Migration::unhold, r); }
  // Asked again and again: not steps.
  Result<SessionEvent> next(const NextSessionEvent& r) override {
    if (life_->dead) return fail(Code::unavailable, "the agent is dead");
    auto event = host_.hypervisor.next(r);
    if (life_->dead) return fail(Code::unavailable, "the agent is dead");
    return event;
  }
  Result<TransferProgress> progress(const SessionRef& r) override { return host_.hypervisor.progress(r); }
  Result<Holding> holding(const SessionRef& r) override {
    if (life_->dead) return fail(Code::unavailable, "the agent is dead");
    return host_.hypervisor.holding(r);
  }

 private:
  template <class Reply, class Request>
  Result<Reply> act(const char* name, Result<Reply> (Migration::*method)(const Request&), const Request& request) {
    return host_.act<Reply>(life_, name, [&] { return (host_.hypervisor.*method)(request); });
  }

  FakeHost& host_;
  std::shared_ptr<Life> life_;
};

}  // namespace

// ---- network ----------------------------------------------------------------------

void Network::add(FakeHost& host) { hosts_[host.name] = &host; }
FakeHost* Network::host(const std::string& name) {
  const auto found = hosts_.find(name);
  return found == hosts_.end() ? nullptr : found->second;
}

PeerContext Network::context(const std::string& local, const std::string& peer, std::uint64_t number) const {
  return {peer, local, "certificate of " + peer, "certificate of " + local, number, std::string(32, 'b')};
}

Result<PeerContext> Network::connect(const std::string& from, const std::string& to) {
  FakeHost* target = host(to);
  if (target == nullptr) return fail(Code::not_found, to + " is not configured");
  if (unreachable.contains(to) || unreachable.contains(from) || !target->module())
    return fail(Code::unavailable, to + " cannot be reached");
  const std::lock_guard lock(mutex_);
  lines_[++last_] = {from, to};
  return context(from, to, last_);
}

Result<PeerContext> Network::seen_from(const std::string& name, std::uint64_t connection) {
  const std::lock_guard lock(mutex_);
  const auto found = lines_.find(connection);
  if (found == lines_.end()) return fail(Code::unavailable, "the connection has ended");
  return context(name, found->second.a == name ? found->second.b : found->second.a, connection);
}

Result<PeerReply> Network::call(const std::string& from, const CallPeer& request) {
  VMSEC_TRY(const PeerContext seen, seen_from(from, request.connection));
  const auto module = unreachable.contains(seen.peer) ? nullptr : host(seen.peer)->module();
  if (!module) return fail(Code::unavailable, seen.peer + " does not answer");
  auto reply = module->incoming_call({context(seen.peer, from, request.connection), request.method, request.payload});
  // Died meanwhile: the answer never leaves it.
  if (!host(seen.peer)->module()) return fail(Code::unavailable, seen.peer + " does not answer");
  return reply;
}

Result<StreamEnd> Network::open_stream(const std::string& from, const OpenStream& request) {
  VMSEC_TRY(const PeerContext seen, seen_from(from, request.connection));
  const auto module = host(seen.peer)->module();
  if (!module) return fail(Code::unavailable, seen.peer + " does not answer");
  const PeerContext remote = context(seen.peer, from, 0);
  VMSEC_TRY(PeerReply reply, module->incoming_stream({remote, request.payload}));
  ++streams;
  std::pair<Fd, Fd> wire;
  if (make_wire) {
    VMSEC_TRY(const JoinRequest join, wire::decode<JoinRequest>(request.payload));
    wire = make_wire(join);
  } else {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail(errno_error("socketpair"));
    wire = {Fd(pair[0]), Fd(pair[1])};
  }
  VMSEC_TRY(const std::string out, random_bytes(kSecretSize));
  VMSEC_TRY(const std::string back, random_bytes(kSecretSize));
  for (const Fd* end : {&wire.first, &wire.second}) {
    VMSEC_TRY(Fd copy, end->duplicate());
    const std::lock_guard lock(mutex_);
    wires_.push_back({from, seen.peer, std::move(copy)});
  }
  VMSEC_TRY(std::ignore,
            module->stream_ready({remote, {std::move(wire.second), back, out, reply.payload}, request.payload}));
  return StreamEnd{std::move(wire.first), out, back, reply.payload};
}

void Network::close(std::uint64_t connection) {
  Line line;
  {
    const std::lock_guard lock(mutex_);
    const auto found = lines_.find(connection);
    if (found == lines_.end()) return;
    line = found->second;
    lines_.erase(found);
  }
  if (const auto module = host(line.b)->module())
    std::ignore = module->disconnected(context(line.b, line.a, connection));
}

void Network::host_died(const std::string& name) {
  std::vector<std::uint64_t> ended;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [number, line] : lines_)
      if (line.a == name || line.b == name) ended.push_back(number);
    for (const Wire& wire : wires_)
      if (wire.a == name || wire.b == name) ::shutdown(wire.fd.get(), SHUT_RDWR);
    std::erase_if(wires_, [&](const Wire& wire) { return wire.a == name || wire.b == name; });
  }
  for (const std::uint64_t number : ended) close(number);
}

// ---- host ---------------------------------------------------------------------------

FakeHost::FakeHost(std::string host_name, Network& all, Watch& watch)
    : name(std::move(host_name)), network(all), hypervisor(watch) {
  network.add(*this);
}

FakeHost::~FakeHost() { stop(); }

std::shared_ptr<MigrationModule> FakeHost::module() const {
  const std::lock_guard lock(module_mutex_);
  return life_ && !life_->dead ? module_ : nullptr;
}

Services FakeHost::services(const std::shared_ptr<Life>& life) {
  Services out;
  out.migration = std::make_unique<FakeMigration>(*this, life);
  out.domains = std::make_unique<FakeDomains>(*this, life);
  out.peers = std::make_unique<FakePeers>(*this, life);
  out.authority = std::make_unique<FakeAuthority>(*this, life);
  out.records = std::make_unique<FakeRecords>(*this, life);
  out.journal = std::make_unique<FakeJournal>(*this, life);
  out.modules = std::make_unique<FakeModules>(*this, life);
  return out;
}

Status FakeHost::start() {
  auto life = std::make_shared<Life>();
  VMSEC_TRY(std::unique_ptr<MigrationModule> created, MigrationModule::create(services(life), Settings{settings}));
  const std::lock_guard lock(module_mutex_);
  life_ = std::move(life);
  module_ = std::move(created);
  return {};
}

void FakeHost::stop() {
  std::shared_ptr<MigrationModule> last;
  {
    const std::lock_guard lock(module_mutex_);
    last.swap(module_);
  }
}

void FakeHost::die(const std::string& where) {
  {
    const std::lock_guard lock(module_mutex_);
    if (!life_ || life_->dead.exchange(true)) return;
    death_ = where;
  }
  hypervisor.drop_sessions();
  network.host_died(name);
  died_ = true;
}

std::string FakeHost::death() {
  const std::lock_guard lock(module_mutex_);
  return death_;
}

void FakeHost::restart() {
  crash = Crash{};
  stop();
  std::ignore = start();
}

bool FakeHost::audited(std::string_view action, Outcome outcome) {
  const std::lock_guard lock(mutex);
  for (const AuditEntry& entry : journal)
    if (entry.action == action && entry.outcome == outcome) return true;
  return false;
}

std::size_t FakeHost::undecided() {
  std::size_t count = 0;
  const auto current = module();
  if (!current) return count;
  const auto list = current->list({});
  if (!list) return count;
  const auto decided = {MigrationState::completed, MigrationState::failed, MigrationState::lost};
  for (const auto& status : list->migrations)
    if (std::ranges::find(decided, status.state) == decided.end()) ++count;
  return count;
}

void FakeHost::tell(Verdict after, std::string cause, std::string about) {
  const std::lock_guard lock(mutex);
  changes.push_back({changes.size() + 1, std::move(about), Verdict::trusted, after, std::move(cause), {}});
}

Setting text_setting(std::string path, std::string text) {
  Setting setting;
  setting.path = std::move(path);
  setting.type = SettingType::text;
  setting.text = std::move(text);
  setting.line = 7;
  setting.column = 3;
  return setting;
}

Setting integer_setting(std::string path, std::int64_t number) {
  Setting setting = text_setting(std::move(path), {});
  setting.type = SettingType::integer;
  setting.integer = number;
  return setting;
}

// ---- pair -----------------------------------------------------------------------------

Pair::Pair(std::vector<Setting> a_settings, std::vector<Setting> b_settings) : memory(guest_memory()) {
  a.settings = std::move(a_settings);
  b.settings = std::move(b_settings);
  a.hypervisor.define(kDomain, memory);
  std::ignore = a.start();
  std::ignore = b.start();
}

Pair::~Pair() {
  // Both agents first: their threads call into either host.
  a.stop();
  b.stop();
}

Result<MigrationStatus> Pair::migrate(Cipher cipher, std::uint32_t bulk) {
  MigrateRequest request;
  request.domain = kDomain;
  request.destination = "host-b";
  request.ticket = "ticket-" + std::to_string(++tickets);
  request.cipher = cipher;
  request.options.bulk_channels = bulk;
  request.options.copy_disks = copy_disks;
  const auto module = a.module();
  if (!module) return fail(Code::unavailable, "host-a is dead");
  return module->migrate(request);
}

MigrationStatus Pair::run(Cipher cipher, std::uint32_t bulk) {
  auto begun = migrate(cipher, bulk);
  if (!begun) {
    MigrationStatus refused;
    refused.code = begun.error().code;
    refused.cause = begun.error().message;
    return refused;
  }
  const auto module = a.module();
  if (!module) return *begun;
  auto ended = module->status({begun->migration, {60'000'000}});
  return ended ? *ended : *begun;
}

bool Pair::runs_at_source() {
  return a.hypervisor.state(kDomain) == DomainState::running && b.hypervisor.state(kDomain) != DomainState::running;
}
bool Pair::runs_at_destination() {
  return b.hypervisor.state(kDomain) == DomainState::running && a.hypervisor.state(kDomain) == DomainState::unknown;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace vmsec::migration::test
