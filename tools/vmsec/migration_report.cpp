#include "migration_report.hpp"

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
      return coloured(Colour::red, text);
    case MigrationState::in_doubt:
      return coloured(Colour::yellow, text);
    default:
      return text;
  }
}

// Where the guest runs: the one thing that nobody should have to work out.
std::string runs_at(const MigrationStatus& status) {
  const std::string here = "this host", there = or_dash(status.peer);
  switch (status.state) {
    case MigrationState::completed:
      return status.outgoing ? there : here;
    case MigrationState::in_doubt:
      return "nowhere, until it is resolved";
    case MigrationState::switching:
      return "nowhere, for the moment";
    default:
      return status.outgoing ? here : there;
  }
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

void print_report(const MigrationStatus& status) {
  const TransferProgress& transfer = status.transfer;
  print_facts({{"migration", status.migration.text()},
               {"VM", status.name + " (" + status.domain.text() + ")"},
               {status.outgoing ? "to" : "from", or_dash(status.peer)},
               {"state", state_text(status)},
               {"the VM is at", runs_at(status)},
               {"cause", status.cause.empty() ? "-" : status.cause + " (" + std::string(to_string(status.code)) + ")"},
               {"attested", or_dash(status.attested)},
               {"cipher", or_dash(status.cipher)},
               {"streams", std::to_string(status.streams)},
               {"sent", human(status.bytes_sent) + speed(status)},
               {"from the guest", human(status.guest_bytes)},
               {"memory", human(transfer.transferred) + " of " + human(transfer.total) + " transferred, " +
                              human(transfer.remaining) + " remaining"},
               {"iterations", std::to_string(transfer.iteration)},
               {"dirty rate", human(transfer.dirty_rate)},
               {"total time", known(status.total_time)},
               {"downtime", known(status.downtime)},
               {"hypervisor's downtime", known(transfer.downtime)},
               {"CPU here", known(status.local_cpu)},
               {"CPU at the peer", known(status.peer_cpu)},
               {"started", status.started.value == 0 ? "-" : human_time(status.started)}});
}

void print_migrations(const MigrationList& list) {
  if (list.migrations.empty()) {
    std::puts("no migrations");
    return;
  }
  Table table({"MIGRATION", "VM", "DIRECTION", "PEER", "STATE", "SENT", "TIME", "STARTED", "CAUSE"});
  for (const auto& each : list.migrations)
    table.add({each.migration.text(), each.name, each.outgoing ? "out" : "in", each.peer, state_text(each),
               known(each.bytes_sent), known(each.total_time), human_time(each.started), each.cause});
  table.print();
}

Exit exit_of(const MigrationStatus& status) {
  if (status.state == MigrationState::in_doubt) return Exit::in_doubt;
  if (status.state != MigrationState::failed) return Exit::ok;
  return status.code == Code::ok ? Exit::environment : exit_of(status.code);
}

}  // namespace vmsec::cli
