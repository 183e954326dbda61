#include "migration_report.hpp"

#include <array>
#include <string_view>

#include "output.hpp"

namespace vmsec::cli {
namespace {

// A rate over less than this says nothing.
constexpr double kLeastSeconds = 0.05;

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

template <class Q>
std::string known(Q value) {
  return value.value == 0 ? "-" : human(value);
}

std::string state_text(const MigrationStatus& status) {
  const std::string text(to_string(status.state));
  switch (status.state) {
    case MigrationState::completed:
      return coloured(Colour::green, text);
    case MigrationState::failed:
    case MigrationState::lost:
      return coloured(Colour::red, text);
    case MigrationState::in_doubt:
      return coloured(Colour::yellow, text);
    default:
      return text;
  }
}

// Refused early, the VM may have no name yet.
std::string vm_text(const MigrationStatus& status) {
  return status.name.empty() ? status.domain.text() : status.name + " (" + status.domain.text() + ")";
}

std::string speed(const MigrationStatus& status) {
  if (status.total_time.value == 0 || status.bytes_sent.value == 0) return {};
  const double rate =
      static_cast<double>(status.bytes_sent.value) / (static_cast<double>(status.total_time.value) / 1e6);
  return " (" + human(BytesPerSecond{static_cast<std::uint64_t>(rate)}) + ")";
}

std::string time_left(const TransferProgress& transfer, double rate) {
  const double gain = rate - static_cast<double>(transfer.dirty_rate.value);
  if (gain <= 0) return "-";
  return human(Microseconds{static_cast<std::uint64_t>(static_cast<double>(transfer.remaining.value) / gain * 1e6)});
}

}  // namespace

std::string ProgressMeter::line(const MigrationStatus& status, Clock::time_point now) {
  const TransferProgress& transfer = status.transfer;
  const double seconds = std::chrono::duration<double>(now - last_time_).count();
  if (last_time_ == Clock::time_point() || transfer.transferred.value < last_bytes_) {
    last_time_ = now;
    last_bytes_ = transfer.transferred.value;
  } else if (seconds >= kLeastSeconds) {
    const double latest = static_cast<double>(transfer.transferred.value - last_bytes_) / seconds;
    rate_ = rate_ == 0 ? latest : 0.6 * rate_ + 0.4 * latest;
    last_time_ = now;
    last_bytes_ = transfer.transferred.value;
  }
  if (transfer.total.value == 0) return std::string(to_string(status.state)) + " ...";
  const double done = 1 - static_cast<double>(transfer.remaining.value) / static_cast<double>(transfer.total.value);
  return progress_bar(done) + " " + std::string(to_string(status.state)) + "  " + human(transfer.transferred) + "  " +
         human(BytesPerSecond{static_cast<std::uint64_t>(rate_)}) + "  dirty " + human(transfer.dirty_rate) +
         "  left " + time_left(transfer, rate_);
}

std::string runs_at(const MigrationStatus& status, std::optional<DomainState> here) {
  const std::string host = "this host", peer = or_dash(status.peer);
  switch (status.state) {
    case MigrationState::completed:
    case MigrationState::following:
      return status.outgoing ? peer : host;
    case MigrationState::in_doubt:
      // A source that has decided nothing lets it run; what is held, or not here, is for the other end to tell.
      return here == DomainState::running ? host : "not known here: ask " + peer;
    case MigrationState::switching:
      return "nowhere, for the moment";
    case MigrationState::lost:
      return here == DomainState::running ? host + ", started anew"
                                          : "not at this host; neither has its memory: it can be started anew, once";
    case MigrationState::failed:
      return status.outgoing ? host : "not at this host: ask " + peer;
    default:
      return status.outgoing ? host : peer;
  }
}

void print_report(const MigrationStatus& status, std::optional<DomainState> here) {
  const TransferProgress& transfer = status.transfer;
  const bool moved = status.guest_bytes.value > 0;
  std::vector<Fact> facts = {{"migration", status.migration.text()},
                             {"VM", vm_text(status)},
                             {status.outgoing ? "to" : "from", or_dash(status.peer)},
                             {"state", state_text(status)},
                             {"the VM is at", runs_at(status, here)}};
  const auto add = [&](const char* name, const std::string& value) {
    if (!value.empty() && value != "-") facts.push_back({name, value});
  };
  if (!status.cause.empty()) add("cause", status.cause + " (" + std::string(to_string(status.code)) + ")");
  // A failed attestation is the cause already.
  if (moved || status.state != MigrationState::failed) add("attested", status.attested);
  add("cipher", status.cipher);
  add("disks", status.disks);
  if (status.streams > 0) add("streams", std::to_string(status.streams));
  if (status.bytes_sent.value > 0) add("sent", human(status.bytes_sent) + speed(status));
  add("from the guest", known(status.guest_bytes));
  if (!has_ended(status.state)) add("at most", known(status.bandwidth));
  if (transfer.total.value > 0)
    add(status.disks.empty() ? "memory" : "memory and disks",
        human(transfer.transferred) + " of " + human(transfer.total) + " transferred" +
            (has_ended(status.state) ? "" : ", " + human(transfer.remaining) + " remaining"));
  if (transfer.iteration > 0) add("iterations", std::to_string(transfer.iteration));
  add("dirty rate", known(transfer.dirty_rate));
  add("total time", known(status.total_time));
  add("downtime", known(status.downtime));
  add("CPU here", known(status.local_cpu));
  add("CPU at the peer", known(status.peer_cpu));
  if (status.started.value > 0) add("started", human_time(status.started));
  print_facts(facts);
}

// The cause is long: "migrate status ID" tells it.
void print_migrations(const MigrationList& list) {
  if (list.migrations.empty()) {
    std::puts("no migrations");
    return;
  }
  Table table({"MIGRATION", "VM", "DIRECTION", "PEER", "STATE", "SENT", "TIME", "STARTED"});
  for (const auto& each : list.migrations)
    table.add({each.migration.text(), each.name.empty() ? each.domain.text() : each.name, each.outgoing ? "out" : "in",
               each.peer, state_text(each), known(each.bytes_sent), known(each.total_time), human_time(each.started)});
  table.print();
}

Exit exit_of(const MigrationStatus& status) {
  if (status.state == MigrationState::in_doubt) return Exit::in_doubt;
  if (status.state != MigrationState::failed && status.state != MigrationState::lost) return Exit::ok;
  return status.code == Code::ok ? Exit::environment : exit_of(status.code);
}

namespace {

struct Hint {
  std::string_view word;  // of the cause
  std::string_view advice;
};

// The first that fits. PEER stands for the other host's name.
constexpr std::array kHints = {
    Hint{"may not use", ""},  // main()'s advice names the grant
    Hint{"no reference file",
         "\"vmsec attest learn PEER > reference.toml\", review it, then name it in vmsecd.toml: "
         "[module.measured_boot] reference"},
    Hint{"not enrolled", "\"vmsec attest enrol PEER\", then try again with a new ticket if this one was spent"},
    Hint{"not trusted", "\"vmsec attest PEER\" shows which PCR is not as the reference says"},
    Hint{"untrusted", "\"vmsec attest PEER\" shows which PCR is not as the reference says"},
    Hint{"suite tls",
         "[module.migration] suite must be the same in both hosts' vmsecd.toml, and \"tls\" has no cipher none"},
    Hint{"cipher none", "it is allowed by [module.migration] encryption = \"allow-none\" in both hosts' vmsecd.toml"},
    Hint{"ticket",
         "a ticket is good once, for one VM as it is configured now: make a new one by \"vmsec ticket create\""},
    Hint{"revocation list", "sign a new one by \"vmsec pki crl\" and bring it to both hosts"},
    Hint{"connect to",
         "is vmsecd running on PEER, and is its [[peer]] address right? \"vmsec host info\" on PEER tells"},
};

std::string hint_for(const MigrationStatus& status) {
  for (const auto& [word, advice] : kHints) {
    if (status.cause.find(word) == std::string::npos) continue;
    std::string text(advice);
    for (auto at = text.find("PEER"); at != std::string::npos; at = text.find("PEER", at + status.peer.size()))
      text.replace(at, 4, status.peer);
    return text;
  }
  return {};
}

}  // namespace

Failure failure_of(const MigrationStatus& status) {
  const std::string vm = status.name.empty() ? status.domain.text() : status.name;
  const std::string what = "migrate " + vm + (status.outgoing ? " to " : " from ") + or_dash(status.peer) + ": ";
  if (status.state == MigrationState::in_doubt)
    return {
        Error{Code::in_doubt, what + "in doubt: " + status.cause, 0, {}},
        "\"vmsec migrate resolve " + status.migration.text() + "\" brings it to its one end, or says what to do first"};
  const Code code = status.code == Code::ok ? Code::internal : status.code;
  if (status.state == MigrationState::lost)
    return {Error{code, what + status.cause, 0, {}},
            "\"vmsec vm start " + vm + "\", where it is defined still, starts it anew from its disks"};
  return {Error{code, what + status.cause + "; " + vm + " runs on at " + runs_at(status, std::nullopt), 0, {}},
          hint_for(status)};
}

}  // namespace vmsec::cli
