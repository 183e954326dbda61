// A small control plane: what a cloud provider would write.
//
//   control_plane AGENT_SOCKET list
//   control_plane AGENT_SOCKET apply POLICY_FILE
//   control_plane AGENT_SOCKET migrate VM HOST PLACEMENT_KEY SOURCE_CERTIFICATE HOST_CERTIFICATE
//   control_plane AGENT_SOCKET events SECONDS
//
// It names no hypervisor: the same program serves every host that runs vmsecd.
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vmsec/capability/events.hpp>
#include <vmsec/control.hpp>
#include <vmsec/service/host_control.hpp>
#include <vmsec/service/migrator.hpp>
#include <vmsec/ticket.hpp>

namespace {

using namespace vmsec;

struct Move {
  std::string placement_key;  // files
  std::string source_certificate;
  std::string host_certificate;
};

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::not_found, "read " + path + ": cannot open it");
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Result<DomainInfo> find_domain(DomainControl& domains, const std::string& name) {
  VMSEC_TRY(const DomainList list, domains.list({}));
  for (const DomainInfo& info : list.domains)
    if (info.name == name) return info;
  return fail(Code::not_found, "no domain " + name);
}

Status list_domains(Control& control) {
  VMSEC_TRY(const DomainList list, control.open<DomainControl>()->list({}));
  for (const DomainInfo& info : list.domains)
    std::printf("%s  %-20s %s  %u vCPUs  %llu MiB\n", info.domain.text().c_str(), info.name.c_str(),
                info.state == DomainState::running ? "running" : "stopped", info.vcpus,
                static_cast<unsigned long long>(info.memory.value >> 20));
  return {};
}

Status apply_policy(Control& control, const std::string& file) {
  VMSEC_TRY(const std::string text, read_file(file));
  VMSEC_TRY(const PolicyReport report, control.open<HostControl>()->apply_policy({text, file}));
  for (const Finding& finding : report.findings)
    std::printf("%s:%u:%u: %s\n", file.c_str(), finding.line, finding.column, finding.message.c_str());
  if (!report.findings.empty()) return fail(Code::invalid_argument, "the policy was not applied");
  for (const DomainChanges& domain : report.domains) {
    if (!domain.error.empty()) return fail(domain.code, domain.error);
    for (const Change& change : domain.changes)
      std::printf("%s: %s: %s -> %s\n", domain.name.c_str(), change.what.c_str(), change.is.c_str(),
                  change.wanted.c_str());
  }
  return {};
}

// Who may move which domain where is the control plane's to say: its placement key
// signs a ticket for each migration. (`vmsec ticket create` writes the same as text:
// parse_ticket_text() reads it.)
Result<std::string> new_ticket(Control& control, const Uuid& domain, const Move& move) {
  VMSEC_TRY(const PlacementKey key, PlacementKey::open(move.placement_key));
  TicketOrder order;
  order.domain = domain;
  VMSEC_TRY(order.source, read_host_certificate(move.source_certificate));
  VMSEC_TRY(order.destination, read_host_certificate(move.host_certificate));
  return issue_ticket(control, key, std::move(order));
}

Status migrate(Control& control, const std::string& name, const std::string& host, const Move& move) {
  VMSEC_TRY(const DomainInfo domain, find_domain(*control.open<DomainControl>(), name));
  MigrateRequest request;
  request.domain = domain.domain;
  request.destination = host;
  VMSEC_TRY(request.ticket, new_ticket(control, domain.domain, move));
  const auto migrator = control.open<Migrator>();
  VMSEC_TRY(MigrationStatus status, migrator->migrate(request));
  while (status.state != MigrationState::completed && status.state != MigrationState::failed &&
         status.state != MigrationState::in_doubt && status.state != MigrationState::lost) {
    VMSEC_TRY(status, migrator->status({status.migration, Microseconds{500'000}}));
    std::printf("%s: %llu MiB sent\n", std::string(to_string(status.state)).c_str(),
                static_cast<unsigned long long>(status.bytes_sent.value >> 20));
  }
  if (status.state != MigrationState::completed) return fail(status.code, status.cause);
  std::printf("%s runs on %s; %s; downtime %llu ms\n", name.c_str(), host.c_str(), status.cipher.c_str(),
              static_cast<unsigned long long>(status.downtime.value / 1000));
  return {};
}

const char* word_for(EventKind kind) {
  switch (kind) {
    case EventKind::domain_started:
      return "started";
    case EventKind::domain_paused:
      return "paused";
    case EventKind::domain_resumed:
      return "resumed";
    case EventKind::domain_stopped:
      return "stopped";
    case EventKind::domain_defined:
      return "defined";
    case EventKind::domain_undefined:
      return "undefined";
    case EventKind::limits_changed:
      return "limits changed";
    case EventKind::backend_lost:
      return "hypervisor lost";
    default:
      return "changed";
  }
}

Status events(Control& control, int seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  const auto source = control.open<Events>();
  std::uint64_t last = 0;
  while (std::chrono::steady_clock::now() < end) {
    VMSEC_TRY(const EventList list, source->next({last, Microseconds{500'000}, 0}));
    for (const Event& event : list.events) {
      std::printf("event %llu: %s %s%s%s\n", static_cast<unsigned long long>(event.sequence), event.name.c_str(),
                  word_for(event.kind), event.detail.empty() ? "" : ": ", event.detail.c_str());
      last = event.sequence;
    }
    std::fflush(stdout);
  }
  return {};
}

Status run(int count, char** arguments) {
  const std::string command = count > 2 ? arguments[2] : "";
  VMSEC_TRY(const auto control, connect_agent(count > 1 ? arguments[1] : ""));
  if (command == "list" && count == 3) return list_domains(*control);
  if (command == "apply" && count == 4) return apply_policy(*control, arguments[3]);
  if (command == "migrate" && count == 8)
    return migrate(*control, arguments[3], arguments[4], {arguments[5], arguments[6], arguments[7]});
  if (command == "events" && count == 4) return events(*control, std::atoi(arguments[3]));
  return fail(Code::invalid_argument, "usage: control_plane AGENT_SOCKET list|apply|migrate|events ...");
}

}  // namespace

int main(int count, char** arguments) {
  const Status status = run(count, arguments);
  if (status) return 0;
  std::fprintf(stderr, "control_plane: %s\n", status.error().message.c_str());
  return 1;
}
