// Limits of a tap in a network namespace of its own, measured with real
// packets: this process is the guest. Needs root.
#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <thread>

#include "run_program.hpp"
#include "tc.hpp"

using namespace vmsec;
using namespace vmsec::common;

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kPayload = 1400;
constexpr std::size_t kFrame = 14 + 20 + 8 + kPayload;

bool enter_namespace() {
  static const bool kEntered = unshare(CLONE_NEWNET) == 0;
  if (!kEntered) WARN("SKIPPED, nothing is shown: no network namespace of its own (needs root)");
  return kEntered;
}

void tool(const std::vector<std::string>& arguments) {
  const auto output = run_program(arguments);
  REQUIRE(output);
  INFO(output->err);
  REQUIRE(output->exit_code == 0);
}

class Tap {
 public:
  explicit Tap(const std::string& name) : file_(open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)) {
    REQUIRE(file_.valid());
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    REQUIRE(ioctl(file_.get(), TUNSETIFF, &request) == 0);
    tool({"ip", "link", "set", "dev", name, "address", "02:00:00:00:00:01", "up"});
    tool({"ip", "addr", "add", "10.9.0.1/24", "dev", name});
    tool({"ip", "neigh", "add", "10.9.0.2", "lladdr", "02:00:00:00:00:02", "dev", name});
  }
  [[nodiscard]] int fd() const { return file_.get(); }

 private:
  Fd file_;
};

Fd udp(std::uint16_t port) {
  Fd socket_fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = inet_addr("10.9.0.1");
  REQUIRE(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return socket_fd;
}

std::uint16_t checksum(const iphdr& header) {
  std::uint32_t sum = 0;
  const auto* words = reinterpret_cast<const std::uint16_t*>(&header);
  for (int i = 0; i < 10; ++i) sum += words[i];
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// A frame from the guest to the host's port 9.
std::string frame() {
  std::string bytes(kFrame, 'x');
  const char macs[] = "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x08\x00";
  bytes.replace(0, 14, macs, 14);
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.tot_len = htons(kFrame - 14);
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.saddr = inet_addr("10.9.0.2");
  ip.daddr = inet_addr("10.9.0.1");
  ip.check = checksum(ip);
  udphdr header{};
  header.source = htons(7);
  header.dest = htons(9);
  header.len = htons(8 + kPayload);
  bytes.replace(14, sizeof ip, reinterpret_cast<const char*>(&ip), sizeof ip);
  bytes.replace(34, sizeof header, reinterpret_cast<const char*>(&header), sizeof header);
  return bytes;
}

// Sends as fast as it can in one thread, counts what arrives in another.
double bytes_per_second(const std::function<bool()>& send_one, const std::function<ssize_t()>& receive_one) {
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    while (!stop)
      if (!send_one()) std::this_thread::sleep_for(std::chrono::microseconds(200));
  });
  std::uint64_t bytes = 0;
  const auto count_until = [&](Clock::time_point end) {
    bytes = 0;
    while (Clock::now() < end) {
      const ssize_t got = receive_one();
      if (got > 0)
        bytes += static_cast<std::uint64_t>(got);
      else
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  };
  count_until(Clock::now() + std::chrono::milliseconds(300));  // the full bucket
  const auto begin = Clock::now();
  count_until(begin + std::chrono::milliseconds(1500));
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  stop = true;
  sender.join();
  return static_cast<double>(bytes) / seconds;
}

double guest_receives(const Tap& tap) {
  const Fd from = udp(0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = inet_addr("10.9.0.2");
  const std::string payload(kPayload, 'x');
  std::array<char, 2048> buffer;
  return bytes_per_second(
      [&] {
        return sendto(from.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) > 0;
      },
      [&] { return read(tap.fd(), buffer.data(), buffer.size()); });
}

double guest_transmits(const Tap& tap) {
  const Fd at = udp(9);
  const std::string bytes = frame();
  std::array<char, 2048> buffer;
  return bytes_per_second([&] { return write(tap.fd(), bytes.data(), bytes.size()) > 0; },
                          [&] {
                            const ssize_t got = recv(at.get(), buffer.data(), buffer.size(), 0);
                            return got > 0 ? got + static_cast<ssize_t>(kFrame - kPayload) : got;
                          });
}

}  // namespace

TEST_CASE("a tap's limits hold in both directions, and go away again") {
  if (!enter_namespace()) return;
  const Tap tap("vmtap0");
  const double free_receive = guest_receives(tap);
  const double free_transmit = guest_transmits(tap);
  const NicLimit limit{"vmtap0", {2'000'000}, {1'000'000}};
  const auto written = write_tap_limit(limit);
  if (!written) FAIL(written.error().message);
  CHECK(*read_tap_limit("vmtap0") == limit);
  const double receive = guest_receives(tap);
  const double transmit = guest_transmits(tap);
  WARN("receive limit 2000000 bytes/s: " << receive << " (without: " << free_receive << ")");
  WARN("transmit limit 1000000 bytes/s: " << transmit << " (without: " << free_transmit << ")");
  CHECK(receive <= 2'000'000 * 1.1);
  CHECK(receive > 500'000);
  CHECK(transmit <= 1'000'000 * 1.1);
  CHECK(transmit > 250'000);
  CHECK(free_receive > 2 * receive);
  CHECK(free_transmit > 2 * transmit);
  REQUIRE(write_tap_limit(limit));  // twice changes nothing
  CHECK(*read_tap_limit("vmtap0") == limit);
  REQUIRE(write_tap_limit({"vmtap0", {}, {}}));
  CHECK(*read_tap_limit("vmtap0") == NicLimit{"vmtap0", {}, {}});
  const auto left = run_program({"ip", "-json", "link", "show", "type", "ifb"});
  REQUIRE(left);
  CHECK(left->out.find("vmsec-i") == std::string::npos);
  CHECK(guest_receives(tap) > 2 * receive);
  CHECK(guest_transmits(tap) > 2 * transmit);
}

TEST_CASE("a tap that went away leaves nothing behind for the next one") {
  if (!enter_namespace()) return;
  {
    const Tap tap("vmtap1");
    REQUIRE(write_tap_limit({"vmtap1", {}, {1'000'000}}));
  }
  const Tap tap("vmtap1");
  CHECK(*read_tap_limit("vmtap1") == NicLimit{"vmtap1", {}, {}});
  REQUIRE(write_tap_limit({"vmtap1", {1'000'000}, {}}));
  const auto left = run_program({"ip", "-json", "link", "show", "type", "ifb"});
  REQUIRE(left);
  CHECK(left->out.find("vmsec-i") == std::string::npos);
}

TEST_CASE("an interface that is not in this namespace is not found, a name that is none is refused") {
  CHECK(write_tap_limit({"vmsec-nowhere", {1'000'000}, {}}).error().code == Code::not_found);
  CHECK(read_tap_limit("vmsec-nowhere").error().code == Code::not_found);
  CHECK(write_tap_limit({"-batch", {1'000'000}, {}}).error().code == Code::invalid_argument);
}
