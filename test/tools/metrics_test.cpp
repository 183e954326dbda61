// What an agent tells of its VMs: vmsec top, and /metrics for a monitoring system.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <regex>
#include <set>
#include <sstream>

#include "tools/sim_host.hpp"

using namespace vmsec::test;

namespace {

constexpr const char* kListen = "[metrics]\nlisten = \"127.0.0.1:0\"\n";

// A simulated host with two VMs, one of which works.
struct MeteredHost : BareHost {
  std::uint16_t port = 0;

  MeteredHost() : BareHost(kPolicy) {
    write_file(config, read_file(config) + kListen);
    define("web-1", "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01",
           "[workload]\ncpu = 0.5\n[[disk]]\ntarget = \"vda\"\nsource = \"web-1.img\"\ncapacity = \"1 MiB\"\n");
    define("db-1", "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e02", "[workload]\ncpu = 0\n");
    start();
    std::smatch found;
    const std::string said = read_file(log);
    REQUIRE(std::regex_search(said, found, std::regex("metrics on port ([0-9]+)")));
    port = static_cast<std::uint16_t>(std::stoi(found[1]));
  }

  // The answer to a request's first line and what follows, as it comes.
  [[nodiscard]] std::string ask(const std::string& line, const std::string& more = "\r\n") const {
    const std::string request = line + " HTTP/1.1\r\nHost: host-a\r\nConnection: close\r\n" + more;
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::send(fd, request.data(), request.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(request.size()));
    std::string out(1 << 16, '\0');
    std::size_t size = 0;
    for (ssize_t got = 1; got > 0; size += static_cast<std::size_t>(std::max<ssize_t>(got, 0)))
      got = ::recv(fd, out.data() + size, out.size() - size, 0);
    ::close(fd);
    out.resize(size);
    return out;
  }
  [[nodiscard]] std::string metrics() const {
    const auto answer = ask("GET /metrics");
    INFO(answer);
    REQUIRE(answer.starts_with("HTTP/1.1 200 "));
    CHECK(has(answer, "Content-Type: text/plain; version=0.0.4"));
    return answer.substr(answer.find("\r\n\r\n") + 4);
  }
};

double value_of(const std::string& metrics, const std::string& sample) {
  const auto place = metrics.find("\n" + sample + " ");
  INFO(sample);
  REQUIRE(place != std::string::npos);
  return std::stod(metrics.substr(place + sample.size() + 2));
}

}  // namespace

TEST_CASE("the metrics are well formed: each name has its help and type before its samples, and they stand together") {
  const MeteredHost host;
  std::istringstream lines(host.metrics());
  const std::regex sample(R"re(([a-z_]+)(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? [-+0-9.e]+)re");
  std::string line;
  std::string name;
  std::set<std::string> seen;
  std::size_t samples = 0;
  while (std::getline(lines, line)) {
    INFO(line);
    if (line.starts_with("# HELP ")) {
      name = line.substr(7, line.find(' ', 7) - 7);
      CHECK(seen.insert(name).second);
      REQUIRE(std::getline(lines, line));
      CHECK((line == "# TYPE " + name + " gauge" || line == "# TYPE " + name + " counter"));
      CHECK(line.ends_with(" counter") == name.ends_with("_total"));
      continue;
    }
    std::smatch found;
    REQUIRE(std::regex_match(line, found, sample));
    CHECK(found[1] == name);
    ++samples;
  }
  CHECK(samples > 20);
}

TEST_CASE("the metrics tell what the VMs use, and what bounds them") {
  const MeteredHost host;
  const std::string web = R"({vm="web-1",uuid="0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01")";
  const std::string cpu = "vmsec_vm_cpu_seconds_total" + web + "}";
  const auto before = host.metrics();
  CHECK(value_of(before, "vmsec_hypervisor_up") == 1);
  CHECK(value_of(before, R"(vmsec_module_running{module="isolation",version="0.1.0"})") == 1);
  CHECK(value_of(before, "vmsec_vm_state" + web + R"(,state="running"})") == 1);
  CHECK(value_of(before, "vmsec_vm_memory_bytes" + web + "}") == 16 << 20);
  CHECK(value_of(before, "vmsec_vm_disk_read_bytes_total" + web + R"(,device="vda"})") >= 0);
  CHECK_FALSE(has(before, "vmsec_vm_cpu_limit_cores" + web));
  CHECK(comes_true([&] { return value_of(host.metrics(), cpu) > value_of(before, cpu); }));
  REQUIRE(host.text({"policy", "apply"}).code == 0);
  CHECK(comes_true([&] { return has(host.metrics(), "vmsec_vm_cpu_limit_cores" + web + "} 0.3\n"); }));
}

TEST_CASE("each metric that the dashboard draws is one of the agent's") {
  const MeteredHost host;
  const auto metrics = host.metrics();
  const std::string dashboard = read_file(VMSEC_SOURCE_DIR "/package/monitoring/grafana-dashboard.json");
  const auto parsed = nlohmann::json::parse(dashboard);
  std::set<std::string> names;
  const std::regex name("vmsec_[a-z_]+");
  for (const auto& panel : parsed["panels"])
    for (const auto& target : panel["targets"]) {
      const std::string expression = target["expr"];
      for (std::sregex_iterator i(expression.begin(), expression.end(), name), end; i != end; ++i)
        names.insert(i->str());
    }
  CHECK(names.size() > 15);
  for (const auto& each : names) {
    INFO(each);
    CHECK(has(metrics, "# TYPE " + each + " "));
  }
}

TEST_CASE("whoever asks for anything else gets nothing, and the next is served") {
  const MeteredHost host;
  CHECK(host.ask("GET /").starts_with("HTTP/1.1 404 "));
  CHECK(host.ask("DELETE /metrics").starts_with("HTTP/1.1 405 "));
  CHECK_FALSE(has(host.ask("POST /metrics", "Content-Length: 5\r\n\r\nhello"), "vmsec_"));
  CHECK_FALSE(has(host.ask("nonsense"), "vmsec_"));
  CHECK_FALSE(has(host.ask("GET /metrics", std::string(100'000, 'x')), "vmsec_"));
  CHECK(has(host.ask("HEAD /metrics"), "HTTP/1.1 200 "));
  CHECK(has(host.metrics(), "vmsec_build_info"));
}

TEST_CASE("an address for metrics that is none, or is taken, ends the start with the reason") {
  const MeteredHost first;
  for (const auto& [listen, reason] :
       {std::pair<std::string, std::string>{"localhost:9464", "want an address and a port"},
        {"127.0.0.1", "the port is missing"},
        {"127.0.0.1:99999", "the port is no number of 0 to 65535"},
        {"127.0.0.1:" + std::to_string(first.port), "serve metrics at 127.0.0.1:"}}) {
    const BareHost other(kPolicy);
    write_file(other.config, read_file(other.config) + "[metrics]\nlisten = \"" + listen + "\"\n");
    const Ran ended = run("vmsecd", {"--config", other.config});
    INFO(ended.err);
    CHECK(ended.code != 0);
    CHECK(has(ended.err, reason));
  }
}

TEST_CASE("top shows what each VM uses between two readings") {
  const MeteredHost host;
  const auto sample = host.json({"top", "--count", "1", "--interval", "0.5"});
  REQUIRE(sample["vms"].size() == 2);
  const auto& web = sample["vms"][0];  // the most CPU first
  CHECK(web["name"] == "web-1");
  CHECK(web["cpu_millis"] > 0);
  CHECK(web["cpu_limit_millis"].is_null());
  CHECK(web["disks"][0]["target"] == "vda");
  const Ran table = host.text({"top", "--count", "2", "--interval", "0.2", "--sort", "name"});
  CHECK(table.code == 0);
  CHECK(has(table.out, "2 VMs, 2 running"));
  CHECK(table.out.find("db-1") < table.out.find("web-1"));
  CHECK_FALSE(has(table.out, "\033"));
  CHECK(host.text({"top", "--sort", "nothing"}).code == 2);
  CHECK(host.text({"top", "--interval", "0"}).code == 2);
}
