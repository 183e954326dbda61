// vmsecd: the agent of one host. Serves the operator on a Unix socket, and other
// hosts over the one mutual TLS channel. Runs in the foreground, until SIGTERM.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "collector.hpp"
#include "common/advice.hpp"
#include "common/readings.hpp"
#include "metrics_server.hpp"
#include "options.hpp"
#include "single.hpp"

namespace vmsec::daemon {
namespace {

enum Exit : int { kOk = 0, kEnvironment = 1, kMistake = 2, kRefused = 3 };

constexpr const char* kFooter = R"(Signals: SIGTERM and SIGINT end it in order; SIGHUP does nothing.

Examples:
  vmsecd --config /etc/vmsec/vmsecd.toml
  vmsecd --check --config ./vmsecd.toml

Exit codes:
  0  ended in order; --check: the configuration is good
  1  the environment: the hypervisor cannot be reached, a socket cannot be made or is taken
  2  the configuration or the policy is wrong
  3  refused for security: a module or plugin that is not signed by who is trusted with it, a key that others
     may read, an audit log that was changed)";

struct Arguments {
  std::string config = "/etc/vmsec/vmsecd.toml";
  bool check = false;
  int ready_fd = -1;
};

// What is wrong with the configuration is told with its place.
std::string next_step(const Error& error) {
  if (error.code == Code::invalid_argument && error.message.find(".toml:") != std::string::npos)
    return "mend it there (docs/configuration.md), and try \"vmsecd --check\"";
  return tools::advice_on(error);
}

int report(const Error& error) {
  std::fprintf(stderr, "vmsecd: %s\n        next: %s\n", error.message.c_str(), next_step(error).c_str());
  if (family(error.code) == Family::caller) return kMistake;
  return family(error.code) == Family::security ? kRefused : kEnvironment;
}

// Every thread that comes later inherits the mask: so signals reach wait_for_end() alone.
sigset_t block_signals() {
  sigset_t ends{};
  ::sigemptyset(&ends);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&ends, number);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return ends;
}

int wait_for_end(const sigset_t& ends) {
  int number = 0;
  do {
    if (::sigwait(&ends, &number) != 0) continue;
  } while (number != SIGTERM && number != SIGINT);
  return number;
}

// What monitoring reads, and from whom.
struct Metrics {
  std::unique_ptr<Collector> collector;
  std::unique_ptr<MetricsServer> server;  // asks the collector: it ends first
};

// The reading keeps the host: it may be under way for as long as a hypervisor hangs.
Result<std::vector<tools::Reading>> read_vms(const std::shared_ptr<Host>& host) {
  const auto domains = host->open<DomainControl>();
  const auto resources = host->open<ResourceControl>();
  const auto io = host->open<IoControl>();
  return tools::read_all({*domains, *resources, *io});
}

Result<Metrics> serve_metrics(const std::shared_ptr<Host>& host, const std::string& address) {
  Metrics metrics;
  if (address.empty()) return metrics;
  metrics.collector = std::make_unique<Collector>([host] { return host->open<HostControl>()->info(Empty{}); },
                                                  [host] { return read_vms(host); });
  VMSEC_TRY(metrics.server,
            MetricsServer::start(address, [collector = metrics.collector.get()] { return collector->text(); }));
  return metrics;
}

Status say_ready(const Host& host, const HostOptions& options, const MetricsServer* metrics, int ready_fd) {
  const std::string peers = host.peer_address().empty() ? "" : ", peers at " + host.peer_address();
  const std::string port = metrics == nullptr ? "" : ", metrics on port " + std::to_string(metrics->port());
  std::fprintf(stderr, "vmsecd: ready: %s, operators at %s%s%s\n", options.name.c_str(), options.control_socket.c_str(),
               peers.c_str(), port.c_str());
  if (ready_fd < 0) return {};
  const bool written = ::write(ready_fd, "ready\n", 6) == 6;
  ::close(ready_fd);
  if (!written) return fail(Code::io, "--ready-fd " + std::to_string(ready_fd) + ": cannot write to it");
  return {};
}

Status serve(const HostOptions& options, int ready_fd) {
  const sigset_t ends = block_signals();
  VMSEC_TRY(const Fd lock, lock_state(options.state_dir));
  VMSEC_TRY(const auto host, open_host(options));
  if (!options.listen.empty()) VMSEC_CHECK(host->serve_peers());
  VMSEC_CHECK(host->serve_control());
  VMSEC_TRY(auto metrics, serve_metrics(host, options.metrics_listen));
  VMSEC_CHECK(say_ready(*host, options, metrics.server.get(), ready_fd));
  const int number = wait_for_end(ends);
  std::fprintf(stderr, "vmsecd: %s: shutting down\n", number == SIGINT ? "SIGINT" : "SIGTERM");
  metrics.server.reset();  // it asks the collector, and that one the host
  metrics.collector.reset();
  host->shut_down();
  return {};
}

int run(const Arguments& arguments) {
  const auto options = complete_options(arguments.config);
  if (!options) return report(options.error());
  if (const auto good = check_options(*options); !good) return report(good.error().in(arguments.config));
  if (arguments.check) {
    std::printf("%s: good (the modules' settings are checked at the start)\n", arguments.config.c_str());
    return kOk;
  }
  if (const auto served = serve(*options, arguments.ready_fd); !served) return report(served.error());
  return kOk;
}

int parse_and_run(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("vmsecd is vmsec's agent on a host.", "vmsecd");
  app.add_option("--config", arguments.config, "The configuration (/etc/vmsec/vmsecd.toml)")->type_name("FILE");
  app.add_flag(
      "--check", arguments.check,
      "Check configuration, identity, and the policy's form, and that plugin and modules are there; serve nothing");
  app.add_option("--ready-fd", arguments.ready_fd,
                 "Write \"ready\" to this descriptor, and close it, once all is served")
      ->type_name("N")
      ->check(CLI::Range(0, 65535));
  app.set_version_flag("--version", "vmsecd " VMSEC_VERSION);
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::fprintf(stderr, "vmsecd: %s\n        next: \"vmsecd --help\" shows usage and examples\n", error.what());
    return kMistake;
  }
  return run(arguments);
}

}  // namespace
}  // namespace vmsec::daemon

int main(int argc, char** argv) {
  try {
    return vmsec::daemon::parse_and_run(argc, argv);
  } catch (const std::exception& failed) {
    std::fprintf(stderr, "vmsecd: %s\n", failed.what());
    return 1;
  }
}
