// bench_engine: what sealing costs where nothing else is in the way. The simulated hypervisor's engine moves a guest
// between two hosts in this process, over plain sockets and over sealed streams, all ways in turn in each round.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <random>

#include "move.hpp"

namespace {

using namespace vmsec;
using namespace vmsec::bench;

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Rows {
  std::vector<double> seconds, cpu, to_plain;  // the last: plain's time by this one's, round by round
};

void print(const std::vector<Way>& ways, std::map<std::string, Rows>& rows, const Guest& guest) {
  std::printf("%-6s  %10s  %8s  %8s  %20s\n", "way", "seconds", "GB/s", "CPU s", "plain's time by it");
  for (const Way& way : ways) {
    Rows& row = rows[way.name];
    const double seconds = median(row.seconds);
    std::printf("%-6s  %10.3f  %8.2f  %8.2f  ", way.name.c_str(), seconds,
                static_cast<double>(guest.memory.value) / seconds / 1e9, median(row.cpu));
    if (row.to_plain.empty())
      std::printf("%20s\n", "-");
    else
      std::printf("%8.2f (%4.2f, %4.2f)\n", median(row.to_plain), std::ranges::min(row.to_plain),
                  std::ranges::max(row.to_plain));
  }
}

// Both guests' memory is touched when it is made, before the clock starts: the first touch of a page costs more than
// its way to the other host does.
bool touch_ahead() {
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) == 0) return true;
  std::perror("bench_engine: lock memory (as root, or with `ulimit -l unlimited`)");
  return false;
}

int run(std::vector<Way> ways, const Guest& guest, unsigned rounds, std::uint64_t seed) {
  std::string folder = (std::filesystem::temp_directory_path() / "vmsec-engine-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return std::perror("bench_engine"), 1;
  std::mt19937_64 random(seed);
  std::map<std::string, Rows> rows;
  const std::vector<Way> order = ways;
  int code = 0;
  for (unsigned round = 1; round <= rounds && code == 0; ++round) {
    std::ranges::shuffle(ways, random);
    std::map<std::string, double> times;
    for (const Way& way : ways) {
      const auto figures = move_once(std::filesystem::path(folder) / "hosts", guest, way);
      if (!figures) {
        std::fprintf(stderr, "bench_engine: %s: %s\n", way.name.c_str(), figures.error().message.c_str());
        code = 1;
        break;
      }
      times[way.name] = figures->seconds;
      rows[way.name].seconds.push_back(figures->seconds);
      rows[way.name].cpu.push_back(figures->cpu_seconds);
      if (::isatty(2) != 0)
        std::fprintf(stderr, "round %u of %u, %s: %.3f s\n", round, rounds, way.name.c_str(), figures->seconds);
    }
    if (times.contains("plain"))
      for (const auto& [name, seconds] : times) rows[name].to_plain.push_back(times["plain"] / seconds);
  }
  std::filesystem::remove_all(folder);
  if (code != 0) return code;
  std::printf("%llu MiB, %u streams, medians of %u rounds; the ratio with its least and most\n",
              static_cast<unsigned long long>(guest.memory.value >> 20), guest.streams, rounds);
  print(order, rows, guest);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("What sealing costs the simulated hypervisor's engine");
  std::uint64_t memory = 1024;
  std::uint64_t seed = 1;
  unsigned rounds = 5;
  Guest guest;
  std::vector<std::string> names{"plain", "none", "evp", "vaes", "tls"};
  app.add_option("--memory", memory, "MiB of the guest, twice of which the machine must have")->capture_default_str();
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--streams", guest.streams, "bulk channels; 0: all through one")->capture_default_str();
  app.add_option("--ways", names)->delimiter(',')->capture_default_str();
  app.add_option("--seed", seed, "of the order in each round")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  guest.memory.value = memory << 20;
  std::vector<Way> ways;
  for (const auto& name : names) {
    const auto way = way_of(name);
    if (!way) return std::fprintf(stderr, "bench_engine: %s\n", way.error().message.c_str()), 2;
    ways.push_back(*way);
  }
  if (!touch_ahead()) return 1;
  return run(std::move(ways), guest, rounds, seed);
}
