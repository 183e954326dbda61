// vmsec-guest: the agent in a guest that proves to its host what the guest has booted, and takes secrets from it.
#include <getopt.h>

#include <chrono>
#include <cstdio>
#include <fstream>

#include "agent.hpp"
#include "port.hpp"
#include "secrets.hpp"
#include "vmsec/guest_frame.hpp"

namespace vmsec::guest {
namespace {

constexpr auto kUsage =
    "usage: vmsec-guest [OPTION]...\n"
    "Answers the host's questions about this guest's boot, by the guest's TPM, and takes secrets from it.\n\n"
    "  --port FILE       the serial port; without it, the one that is called org.vmsec.attestation.0\n"
    "  --tcti TCTI       the TPM (default device:/dev/tpmrm0)\n"
    "  --event-log FILE  firmware's (default /sys/kernel/security/tpm0/binary_bios_measurements)\n"
    "  --domain UUID     this guest's; without it, what /sys/class/dmi/id/product_uuid says\n"
    "  --secrets FOLDER  where secrets go, each a file of its name (default /run/vmsec)\n"
    "  --wait SECONDS    for the port to appear (default 60)\n"
    "  --once            end with 0 when a secret has come\n"
    "  --help, --version\n";

enum class Stay { for_ever, until_secret };

struct Options {
  std::string port;
  std::string tcti = "device:/dev/tpmrm0";
  std::string event_log = "/sys/kernel/security/tpm0/binary_bios_measurements";
  std::string domain;
  std::string secrets = "/run/vmsec";
  std::string wait = "60";
  Stay stay = Stay::for_ever;
};

constexpr int kMistake = 2;

// An exit code: there is nothing more to do.
std::optional<int> read_options(int argc, char** argv, Options& options) {
  static const option kLong[] = {{"port", required_argument, nullptr, 'p'},
                                 {"tcti", required_argument, nullptr, 't'},
                                 {"event-log", required_argument, nullptr, 'e'},
                                 {"domain", required_argument, nullptr, 'd'},
                                 {"secrets", required_argument, nullptr, 's'},
                                 {"wait", required_argument, nullptr, 'w'},
                                 {"once", no_argument, nullptr, 'o'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {"version", no_argument, nullptr, 'v'},
                                 {nullptr, 0, nullptr, 0}};
  while (true) {
    const int letter = ::getopt_long(argc, argv, "", kLong, nullptr);
    if (letter == -1) break;
    if (letter == 'p') options.port = optarg;
    if (letter == 't') options.tcti = optarg;
    if (letter == 'e') options.event_log = optarg;
    if (letter == 'd') options.domain = optarg;
    if (letter == 's') options.secrets = optarg;
    if (letter == 'w') options.wait = optarg;
    if (letter == 'o') options.stay = Stay::until_secret;
    if (letter == 'h') return std::fputs(kUsage, stdout) < 0 ? 1 : 0;
    if (letter == 'v') return std::puts("vmsec-guest " VMSEC_VERSION) < 0 ? 1 : 0;
    if (letter == '?') return kMistake;
  }
  if (optind == argc) return std::nullopt;
  std::fprintf(stderr, "vmsec-guest: \"%s\" is no option\n", argv[optind]);
  return kMistake;
}

Result<Uuid> own_domain(const Options& options) {
  if (!options.domain.empty()) return Uuid::parse(options.domain);
  std::string line;
  std::ifstream file("/sys/class/dmi/id/product_uuid");
  if (!std::getline(file, line))
    return fail(Code::not_found, "which guest this is cannot be read from /sys/class/dmi/id/product_uuid: --domain");
  return Uuid::parse(line);
}

// A port's driver may still be on its way.
Result<Fd> wait_for_port(const Options& options) {
  char* end = nullptr;
  const auto seconds = std::strtoul(options.wait.c_str(), &end, 10);
  if (options.wait.empty() || *end != '\0' || seconds > 3600)
    return fail(Code::invalid_argument, "--wait " + options.wait + ": want 0 to 3600");
  const auto last = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (true) {
    Result<std::string> path = options.port;
    if (options.port.empty()) path = find_port(kGuestPort);
    Result<Fd> port = path ? open_port(*path) : fail(path.error());
    if (port || std::chrono::steady_clock::now() >= last) return port;
    struct timespec rest{0, 100'000'000};
    ::nanosleep(&rest, nullptr);
  }
}

Status run(const Options& options) {
  VMSEC_TRY(const Uuid domain, own_domain(options));
  bool taken = false;
  Agent agent({domain, options.tcti, options.event_log, [&](const std::string& name, std::string_view secret) {
                 Status stored = store_secret(options.secrets, name, secret);
                 taken = taken || stored;
                 std::fprintf(stderr, "vmsec-guest: secret %s %s\n", name.c_str(),
                              stored ? "taken" : stored.error().message.c_str());
                 return stored;
               }});
  VMSEC_TRY(const Fd port, wait_for_port(options));
  std::fprintf(stderr, "vmsec-guest: answers for guest %s\n", domain.text().c_str());
  return serve(
      port, Hangup::wait, [&](std::string_view call) { return agent.answer(call); },
      [&] { return taken && options.stay == Stay::until_secret; });
}

}  // namespace
}  // namespace vmsec::guest

int main(int argc, char** argv) {
  vmsec::guest::Options options;
  if (const auto ended = vmsec::guest::read_options(argc, argv, options)) return *ended;
  const auto done = vmsec::guest::run(options);
  if (done) return 0;
  std::fprintf(stderr, "vmsec-guest: %s\n", done.error().message.c_str());
  return 1;
}
