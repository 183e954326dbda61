#include "hosts.hpp"

#include <catch2/catch.hpp>

namespace vmsec::boot::test {
namespace {

class FixedEvidence final : public BootEvidence {
 public:
  explicit FixedEvidence(Host& host) : host_(host) {}
  Result<HostEvidence> host(const Empty&) override {
    if (host_.no_evidence) return fail(*host_.no_evidence);
    return HostEvidence{host_.tpm.tcti(), host_.event_log, host_.ima_list, host_.module_log};
  }
  Result<GuestReply> guest(const GuestRequest& request) override {
    if (!host_.guests) return fail(Code::unsupported, "this host has no guests");
    return host_.guests(request);
  }

 private:
  Host& host_;
};

class MemoryRecords final : public Records {
 public:
  explicit MemoryRecords(Store& store) : records_(store.records) {}
  Result<Empty> put(const Record& record) override {
    records_[record.key] = record.value;
    return Empty{};
  }
  Result<Record> get(const RecordKey& key) override {
    const auto found = records_.find(key.key);
    if (found == records_.end()) return fail(Code::not_found, "no record " + key.key);
    return Record{found->first, found->second};
  }
  Result<Empty> remove(const RecordKey& key) override {
    records_.erase(key.key);
    return Empty{};
  }
  Result<RecordList> list(const RecordKey& prefix) override {
    RecordList list;
    for (const auto& [key, value] : records_)
      if (key.starts_with(prefix.key)) list.records.push_back({key, value});
    return list;
  }

 private:
  std::map<std::string, std::string>& records_;
};

class MemoryJournal final : public Journal {
 public:
  explicit MemoryJournal(Store& store) : store_(store) {}
  Result<Empty> audit(const AuditEntry& entry) override {
    if (store_.audit_fails) return fail(Code::io, "the audit log is full");
    store_.audit.push_back(entry);
    return Empty{};
  }
  Result<Empty> log(const LogLine& line) override {
    store_.log.push_back(line);
    return Empty{};
  }

 private:
  Store& store_;
};

class NetworkPeers final : public Peers {
 public:
  NetworkPeers(Network& network, std::string name) : network_(network), name_(std::move(name)) {}
  Result<PeerContext> connect(const ConnectPeer& request) override {
    if (request.host == "nowhere") return fail(Code::not_found, "no [[peer]] nowhere");
    if (request.host == "down") return fail(Code::unavailable, "connect to down: connection refused");
    if (request.host == "forged") return fail(Code::unauthenticated, "forged: certificate of another authority");
    if (network_.refused.contains(request.host))
      return fail(Code::unavailable, "connect to " + request.host + ": connection refused");
    if (network_.forged.contains(request.host))
      return fail(Code::unauthenticated, request.host + ": certificate of another authority");
    const auto connection = network_.connect(name_, request.host);
    return network_.context(connection, name_);
  }
  Result<PeerReply> call(const CallPeer& request) override { return network_.deliver(name_, request); }
  Result<StreamEnd> open_stream(const OpenStream&) override { return fail(Code::unsupported, "no streams"); }
  Result<PeerContext> check(const ConnectionRef& request) override {
    if (request.connection == 666) return fail(Code::revoked, "the peer's certificate is revoked");
    return network_.context(request.connection, name_);
  }
  Result<Empty> close(const ConnectionRef& request) override {
    network_.close(request.connection);
    return Empty{};
  }

 private:
  Network& network_;
  std::string name_;
};

std::string certificate(const std::string& name) { return sha256({"certificate of " + name}).value(); }

}  // namespace

Host& Network::add(const std::string& name, Config config) {
  auto host = std::make_unique<Host>();
  host->name = name;
  host->tpm.boot(host->event_log);
  restart(*host, std::move(config));
  return *(hosts_[name] = std::move(host));
}

void Network::restart(Host& host, Config config) {
  Services services{std::make_unique<FixedEvidence>(host), std::make_unique<NetworkPeers>(*this, host.name),
                    std::make_unique<MemoryRecords>(host.store), std::make_unique<MemoryJournal>(host.store)};
  host.module = std::make_unique<MeasuredBoot>(std::move(services), std::move(config), [&host] { return host.now; });
  REQUIRE(host.module->load());
}

std::uint64_t Network::connect(const std::string& from, const std::string& to) {
  ++last_;
  lines_[last_] = {from, to, sha256({"binding " + std::to_string(last_)}).value()};
  return last_;
}

PeerContext Network::context(std::uint64_t connection, const std::string& seen_from) const {
  const Line& line = lines_.at(connection);
  const std::string& peer = line.from == seen_from ? line.to : line.from;
  return {peer, seen_from, certificate(peer), certificate(seen_from), connection, line.binding};
}

Result<PeerReply> Network::deliver(const std::string& from, const CallPeer& call) {
  if (instead)
    if (auto answer = instead(call)) return std::move(*answer);
  const Line line = lines_.at(call.connection);
  REQUIRE(line.from == from);
  auto reply = host(line.to).module->incoming_call({context(call.connection, line.to), call.method, call.payload});
  if (afterwards) afterwards(call.method, reply);
  return reply;
}

}  // namespace vmsec::boot::test
