// vmsecd.toml: what is read, and that what is wrong is an error with its place.
#include "libvmsec/identity/cloud.hpp"
#include "vmsec/host.hpp"

namespace vmsec::test {
namespace {

struct Config {
  TempDir dir;
  std::string file = dir.path() / "vmsecd.toml";
  Result<HostOptions> read(const std::string& text) {
    spit(file, text);
    return read_host_options(file);
  }
};

}  // namespace

TEST_CASE("every documented key is read, and paths count from the file's folder") {
  Config config;
  const auto options = good(config.read(R"(
[host]
name = "host-a"
state = "state"
run = "/run/vmsec"
control = "vmsecd.sock"
listen = "192.0.2.1:7443"
policy = "../policy.toml"
modules = ["isolation", "throttle"]
plugin_path = ["plugins", "/usr/lib/vmsec/plugins"]
module_path = ["modules"]
trust = "trust.toml"
in_process = ["migration"]
[backend]
plugin = "sim"
uri = "sim:a"
[backend.settings]
domains = "/srv/domains"
"fault.start" = "1"
[identity]
ca = "ca.crt"
certificate = "host-a.crt"
key = "host-a.key"
revocations = "ca.crl"
placement_keys = ["placement.pub"]
[tpm]
tcti = "swtpm:path=/run/tpm.sock"
event_log = "log.bin"
ima_list = "ima.bin"
module_pcr = 11
module_log = "modules.log"
[module.migration]
cipher = "required"
[worker.migration]
record_count = 20000
[module.measured_boot.limits]
age = 3
[[peer]]
name = "host-b"
address = "192.0.2.2:7443"
[[peer]]
name = "host-c"
address = "192.0.2.3:7443"
)"));
  const std::string folder = config.dir.path();
  CHECK(options.name == "host-a");
  CHECK(options.state_dir == folder + "/state");
  CHECK(options.run_dir == "/run/vmsec");
  CHECK(options.control_socket == folder + "/vmsecd.sock");
  CHECK(options.policy_file == (config.dir.path().parent_path() / "policy.toml").string());
  CHECK(options.plugin_path == std::vector<std::string>{folder + "/plugins", "/usr/lib/vmsec/plugins"});
  CHECK(options.module_path == std::vector<std::string>{folder + "/modules"});
  CHECK(options.trust_file == folder + "/trust.toml");
  CHECK(options.in_process == std::vector<std::string>{"migration"});
  CHECK(options.backend.settings.at("domains") == "/srv/domains");
  CHECK(options.identity.placement_keys == std::vector<std::string>{folder + "/placement.pub"});
  CHECK(options.backend.tpm_tcti == "swtpm:path=/run/tpm.sock");
  CHECK(options.module_pcr == 11);
  CHECK(options.backend.module_log == folder + "/modules.log");
  CHECK(options.backend.ima_list == folder + "/ima.bin");
  CHECK(options.workers.at("migration").record_count == 20'000);
  CHECK(options.modules.size() == 4);
  REQUIRE(options.modules.at("measured_boot").settings.size() == 1);
  CHECK(options.modules.at("measured_boot").settings[0].path == "limits.age");
  CHECK(options.peers ==
        std::map<std::string, std::string>{{"host-b", "192.0.2.2:7443"}, {"host-c", "192.0.2.3:7443"}});
}

TEST_CASE("an empty configuration is the defaults") {
  Config config;
  const auto options = good(config.read(""));
  CHECK(options.name == "localhost");
  CHECK(options.plugin == "kvm");
  CHECK(options.modules.empty());
  CHECK_FALSE(options.trusted_without_policy);
}

TEST_CASE("the audit log's files have a size and a number") {
  Config config;
  CHECK(good(config.read("")).audit_file_size == Bytes{std::uint64_t{64} << 20});
  const auto options = good(config.read("[audit]\nfile_size = \"1 MiB\"\nkeep_files = 12\n"));
  CHECK(options.audit_file_size == Bytes{1 << 20});
  CHECK(options.audit_keep_files == 12);
  CHECK(good(config.read("[audit]\nfile_size = 0\n")).audit_file_size == Bytes{});
  for (const auto* wrong :
       {"file_size = \"1 KiB\"", "file_size = 5", "keep_files = -1", "keep_files = \"all\"", "sze = 1"})
    CHECK(code_of(config.read(std::string("[audit]\n") + wrong + "\n")) == Code::invalid_argument);
}

TEST_CASE("what is wrong in a configuration is named with file, line and column") {
  struct Bad {
    const char* text;
    const char* place;
    const char* cause;
  };
  const auto bad = GENERATE(values<Bad>({
      {"[host]\ncolour = \"red\"\n", ":2:", "host.colour: unknown key"},
      {"[host]\nname = 7\n", ":2:", "host.name: must be a text"},
      {"[host]\nstate = [\"a\"]\n", ":2:", "host.state: must be a text"},
      {"[host]\nmodules = \"isolation\"\n", ":2:", "must be a list of module names"},
      {"[host]\nplugin_path = \"x\"\n", ":2:", "must be a list of texts"},
      {"[host]\nin_process = \"x\"\n", ":2:", "must be a list of module names"},
      {"[host]\nin_process = [\"x\"]\n", ":2:", "no module \"x\" is loaded"},
      {"[worker.isolaton]\nmemory = \"64 MiB\"\n", ":2:", "no module \"isolaton\" is loaded"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\nrecords = \"1 KiB\"\n", ":4:", "must be 64 KiB at the least"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\nrecord_count = 1\n", ":4:", "must be a number from 16"},
      {"[worker.isolaton]\nrecord_count = 64\n", ":2:", "no module \"isolaton\" is loaded"},
      {"[host]\nmodules = [\"x\"]\nin_process = [\"x\"]\n[worker.x]\nthreads = 9\n", ":5:", "no process of its own"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\ncpus = \"1\"\n", ":4:", "must be a list of this host's CPUs"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\ncpus = []\n", ":4:", "must be a list of this host's CPUs"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\ncpus = [-1]\n", ":4:", "\"-1\" is no CPU"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\ncpus = [4096]\n", ":4:", "\"4096\" is no CPU"},
      {"[host]\nmodules = [\"x\"]\n[worker.x]\ncpus = [1, 0, 1]\n", ":4:", "CPU 1 is listed twice"},
      {"[host]\ntrust = 1\n", ":2:", "must be a text"},
      {"[backend.settings]\nx = true\n", ":2:", "must be a text"},
      {"[module]\nthrottle = 3\n", ":2:", "unknown key"},
      {"[peer]\nname = \"b\"\n", ":2:", "peer.name: unknown key"},
      {"[[peer]]\nname = \"b\"\n", ":2:", "name and address must be given"},
      {"[[peer]]\nname = \"b\"\naddress = \"c:1\"\nport = 2\n", ":4:", "unknown key"},
      {"[[peer]]\nname = \"b\"\naddress = \"c:1\"\n[[peer]]\nname = \"b\"\naddress = \"c:1\"\n",
       ":5:8: ", "a second peer"},
      {"[[peer]]\nname = 1\n", ":2:", "must be a text"},
      {"[tpm]\ntcti = 1.5\n", ":2:", "must be a text"},
      {"[host]\nname = \"a\"\nname = \"b\"\n", ":3:", ""},
      {"[host\n", ":1:", ""},
      {"[host]\nname = \"a\\u0000b\"\n", ":2:", "NUL"},
      {"[host]\nname = \"\xff\"\n", ":2:", ""},
      {"unknown = 1\n", ":1:", "unknown key"},
  }));
  INFO(bad.text);
  Config config;
  const auto options = config.read(bad.text);
  CHECK(code_of(options) == Code::invalid_argument);
  CHECK_THAT(message_of(options), Catch::StartsWith(config.file + bad.place));
  CHECK_THAT(message_of(options), Catch::Contains(bad.cause));
}

TEST_CASE("a configuration that is not there, is a folder or never ends is an error") {
  Config config;
  CHECK_THAT(message_of(read_host_options(config.file)), Catch::Contains(config.file));
  CHECK_FALSE(read_host_options(config.dir.path()));
  CHECK_FALSE(read_host_options("/dev/zero"));
  CHECK_FALSE(config.read(std::string(2 << 20, '#')));
}

}  // namespace vmsec::test
