// carriers BUILD_DIR: what a call of a module costs in the host's process and in its own,
// and how fast each reads a guest's memory. On the simulated hypervisor. Beside them what
// any two processes pay: a byte there and back.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/host.hpp"
#include "vmsec/service/enforcement.hpp"

namespace {

using namespace vmsec;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr int kCalls = 50'000;
constexpr const char* kDomain = "00000000-0000-4000-8000-000000000001";

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "carriers: %s\n", result.error().message.c_str());
  std::exit(1);
}

template <class Call>
void measure(const char* carrier, const char* what, Call&& call) {
  std::vector<double> times;
  times.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    const auto began = Clock::now();
    must(call());
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - began).count());
  }
  std::ranges::sort(times);
  const auto at = [&](double part) { return times[static_cast<std::size_t>(part * kCalls)]; };
  std::printf("%-10s  %-34s  p50 %6.2f us  p99 %6.2f us  p99.9 %6.2f us\n", carrier, what, at(0.5), at(0.99),
              at(0.999));
}

// Nothing of ours is in it: two waits, each of which the scheduler ends when it sees fit.
void measure_floor() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return std::perror("carriers: socketpair");
  char byte = 0;
  const pid_t other = ::fork();
  if (other == 0) {
    ::close(ends[0]);
    while (::read(ends[1], &byte, 1) == 1)
      if (::write(ends[1], &byte, 1) != 1) break;
    ::_exit(0);
  }
  ::close(ends[1]);
  measure("none", "a byte to a process and back", [&]() -> Result<Empty> {
    if (::write(ends[0], &byte, 1) != 1 || ::read(ends[0], &byte, 1) != 1) return fail(errno_error("send a byte"));
    return Empty{};
  });
  ::close(ends[0]);
  ::waitpid(other, nullptr, 0);
}

void run(const fs::path& build, const fs::path& folder, const char* carrier) {
  HostOptions options;
  options.state_dir = folder / carrier;
  options.run_dir = folder / (std::string(carrier) + ".run");
  options.plugin = "sim";
  options.plugin_path = {build / "lib/vmsec/plugins"};
  options.module_path = {build / "bench/modules"};
  options.backend.uri = std::string("sim:") + carrier;
  options.backend.settings["domains"] = folder / "domains";
  options.trusted_without_policy = true;
  options.modules["bench_scanner"];
  options.workers["bench_scanner"].calls = 10'000'000;
  options.trust_file = build / "test/trust.toml";
  if (std::string_view(carrier) == "in-process") options.in_process = {"bench_scanner"};
  const auto host = must(open_host(options));
  const auto module = host->open<Enforcement>();
  const EnforcementTarget target{must(Uuid::parse(kDomain)), {}};
  measure(carrier, "a call", [&] { return module->check({}); });
  measure(carrier, "a call that asks the host", [&] { return module->diff(target); });
  for (int i = 0; i < 3; ++i) {
    const Changes scanned = must(module->apply(target));
    std::printf("%-10s  %-34s  %s\n", carrier, "guest memory scanned", scanned.changes[0].wanted.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: carriers BUILD_DIR\n", stderr);
    return 2;
  }
  measure_floor();  // while there is one thread
  std::string pattern = (fs::temp_directory_path() / "vmsec-carriers-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return 1;
  const fs::path folder = pattern;
  fs::create_directory(folder / "domains");
  std::ofstream(folder / "domains" / "web-1.toml")
      << "name = \"web-1\"\nuuid = \"" << kDomain << "\"\nmemory = \"512 MiB\"\n[workload]\npattern = \"idle\"\n";
  for (const char* carrier : {"in-process", "worker"}) run(fs::absolute(argv[1]), folder, carrier);
  fs::remove_all(folder);
}
