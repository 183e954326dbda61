#include "move.hpp"

#include <sys/resource.h>

#include <chrono>
#include <fstream>

#include "sim_backend.hpp"

namespace vmsec::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Backends = std::unique_ptr<Backend>;
constexpr const char* kDomain = "00000000-0000-4000-8000-000000000001";
constexpr Microseconds kWait{600'000'000};

double cpu_now() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Result<Backends> host(const std::filesystem::path& root, const std::string& name, const std::string& domain) {
  BackendOptions options;
  options.uri = "sim:" + name;
  options.run_dir = root / name / "run";
  options.state_dir = root / name / "state";
  options.settings["domains"] = root / name / "domains";
  options.settings["disks"] = root / "disks";
  for (const auto& folder :
       {options.run_dir, options.state_dir, options.settings["domains"], options.settings["disks"]})
    std::filesystem::create_directories(folder);
  if (!domain.empty()) std::ofstream(root / name / "domains" / "web-1.toml") << domain;
  return sim::open_backend(options);
}

// Both migration modules' part, until both engines are done.
Status carry(Migration& source, Migration& destination, const SessionRef& ref, const Way& way,
             std::vector<std::unique_ptr<Carrier>>& carriers) {
  const auto decide = [&](Migration& end) -> Status {
    VMSEC_CHECK(end.decide({ref.migration, ref.domain, true, {}}));
    return {};
  };
  // The source's gate opens first; then the destination's; then the destination is done, and so the source.
  for (Migration* end = &source;;) {
    VMSEC_TRY(SessionEvent event, end->next({ref.migration, ref.domain, kWait}));
    switch (event.kind) {
      case SessionEventKind::channel: {
        VMSEC_TRY(ChannelEnd far, destination.open({ref.migration, ref.domain, event.channel, event.index}));
        VMSEC_TRY(auto carrier,
                  Carrier::connect(way, event.channel, event.index, std::move(event.fd), std::move(far.fd)));
        carriers.push_back(std::move(carrier));
        break;
      }
      case SessionEventKind::gate:
        VMSEC_CHECK(decide(*end));
        end = &destination;
        break;
      case SessionEventKind::done:
        return {};
      default:
        return fail(Code::internal, "the migration failed: " + event.detail);
    }
  }
}

}  // namespace

Result<Figures> move_once(const std::filesystem::path& folder, const Guest& guest, const Way& way) {
  std::filesystem::remove_all(folder);
  const std::string text = std::string("name = \"web-1\"\nuuid = \"") + kDomain + "\"\nmemory = \"" +
                           std::to_string(guest.memory.value >> 20) +
                           " MiB\"\nvcpus = 1\nseed = 1\n[workload]\npattern = \"idle\"\nfill = 1.0\n";
  VMSEC_TRY(const Backends a, host(folder, "a", text));
  VMSEC_TRY(const Backends b, host(folder, "b", {}));
  VMSEC_TRY(Migration* const source, a->migration());
  VMSEC_TRY(Migration* const destination, b->migration());
  VMSEC_TRY(const Uuid domain, Uuid::parse(kDomain));
  const SessionRef ref{domain, domain};
  MigrationOptions options;
  options.bulk_channels = guest.streams;
  VMSEC_TRY(const DomainDescription description, source->describe({domain}));
  VMSEC_CHECK(destination->prepare({ref.migration, domain, description, options}));

  std::vector<std::unique_ptr<Carrier>> carriers;
  const double cpu = cpu_now();
  const auto began = Clock::now();
  VMSEC_CHECK(source->start({ref.migration, domain, options}));
  VMSEC_CHECK(carry(*source, *destination, ref, way, carriers));
  const Figures figures{std::chrono::duration<double>(Clock::now() - began).count(), cpu_now() - cpu};
  VMSEC_CHECK(source->close(ref));
  VMSEC_CHECK(destination->close(ref));
  return figures;
}

}  // namespace vmsec::bench
