// vmsecd on the simulated hypervisor, driven by vmsec, from start to end.
#include <signal.h>

#include <catch2/catch.hpp>

#include "tools/sim_host.hpp"

using namespace vmsec::test;

namespace {

constexpr const char* kDiskPolicy = R"(version = 1
[[vm]]
match = "web-*"
[vm.isolation]
cpu_quota = "30%"
[vm.throttle.disk.vda]
read = "5 MB/s"
[[grant]]
module = "isolation"
vm = "web-*"
interfaces = ["vmsec.DomainControl", "vmsec.ResourceControl"]
[[grant]]
module = "throttle"
vm = "web-*"
interfaces = ["vmsec.DomainControl", "vmsec.IoControl"]
)";

// With one VM, web-1, which has a disk.
struct DiskHost : BareHost {
  DiskHost() : BareHost(kDiskPolicy) { define("web-1", "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01"); }
  void define(const std::string& name, const std::string& uuid) const {
    BareHost::define(name, uuid, "[[disk]]\ntarget = \"vda\"\nsource = \"" + name + ".img\"\ncapacity = \"1 MiB\"\n");
  }
};

}  // namespace

TEST_CASE("VMs are listed, shown, paused and resumed through the agent") {
  DiskHost host;
  host.start();
  const auto list = host.json({"vm", "list"});
  REQUIRE(list["domains"].size() == 1);
  CHECK(list["domains"][0]["name"] == "web-1");
  CHECK(list["domains"][0]["state"] == "running");
  CHECK(host.text({"vm", "list"}).out.find("16 MiB") != std::string::npos);

  const std::string uuid = list["domains"][0]["domain"];
  CHECK(host.json({"vm", "show", uuid})["name"] == "web-1");
  CHECK(host.text({"vm", "show", "web-1"}).out.find(uuid) != std::string::npos);
  CHECK(host.json({"vm", "pause", "web-1"})["state"] == "paused");
  CHECK(host.json({"vm", "pause", "web-1"})["state"] == "paused");
  CHECK(host.text({"vm", "resume", uuid}).out == "web-1 is running\n");
  CHECK(host.json({"vm", "stats", "web-1"})["disks"][0]["target"] == "vda");

  const Ran unknown = host.text({"vm", "show", "nobody"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("vmsec vm list") != std::string::npos);
  CHECK(host.text({"vm", "pause", "5f0c2a4e-6a5b-4a3f-9d58-0f5b0a1c2d3e"}).code == 2);
}

TEST_CASE("what happened is told as events") {
  DiskHost host;
  host.start();
  REQUIRE(host.text({"vm", "pause", "web-1"}).code == 0);
  const auto kinds = [&](const std::vector<std::string>& command) {
    std::string text;
    const auto list = host.json(command);
    for (const auto& event : list["events"]) text += event["kind"].get<std::string>() + " ";
    return text;
  };
  CHECK(comes_true([&] { return kinds({"vm", "events"}).find("paused") != std::string::npos; }));
  const Ran followed = host.text({"vm", "events", "--follow", "--count", "1", "--json"});
  CHECK(followed.code == 0);
  CHECK(nlohmann::json::parse(followed.out)["sequence"].get<int>() >= 1);

  Background following("vmsec", host.words({"vm", "events", "--follow"}), host.folder / "events");
  REQUIRE(comes_true([&] { return read_file(host.folder / "events").find("paused") != std::string::npos; }));
  following.signal(SIGINT);
  CHECK(following.wait() == 0);
}

TEST_CASE("a policy is checked, compared and applied; applying twice changes nothing") {
  DiskHost host;
  host.start();
  const std::string policy = host.folder / "policy.toml";
  CHECK(host.text({"policy", "check", policy}).code == 0);
  const Ran diff = host.text({"policy", "diff"});
  INFO(diff.out << diff.err);
  CHECK(diff.code == 5);
  CHECK(diff.out.find("30%") != std::string::npos);
  CHECK(host.json({"policy", "diff", policy}, 5)["domains"].size() == 2);

  CHECK(host.text({"policy", "apply"}).code == 0);
  CHECK(host.text({"policy", "apply"}).out == "nothing to change\n");
  CHECK(host.text({"policy", "diff"}).out == "no differences\n");
  const auto limits = host.json({"vm", "limits", "web-1"});
  CHECK(limits["cpu_quota_millis"] == 300);
  CHECK(limits["disks"][0]["read"] == 5'000'000);
  CHECK(host.text({"vm", "limits", "web-1"}).out.find("5 MB/s") != std::string::npos);
}

TEST_CASE("a policy that changes grants alone says so, and host info names the one in force") {
  DiskHost host;
  host.start();
  REQUIRE(host.text({"policy", "apply"}).code == 0);
  const std::string own = host.json({"host", "info"})["policy_digest"];
  CHECK(own.size() == 64);
  const std::string slip = host.folder / "slip.toml";
  write_file(slip,
             "version = 1\n[[vm]]\nmatch = \"wbe-*\"\n[vm.isolation]\ncpu_quota = \"30%\"\n[[grant]]\nmodule = "
             "\"isolation\"\nvm = \"wbe-*\"\ninterfaces = [\"vmsec.DomainControl\", \"vmsec.ResourceControl\"]\n");
  const Ran checked = host.text({"policy", "check", slip});
  CHECK(checked.code == 0);
  CHECK(checked.err.find("slip.toml:2:1: warning: [[vm]] for VM \"wbe-*\" matches no VM") != std::string::npos);
  const Ran diff = host.text({"policy", "diff", slip});
  CHECK(diff.code == 5);
  CHECK(diff.out.find("- vmsec.IoControl") != std::string::npos);
  CHECK(host.json({"host", "info"})["policy_digest"] == own);
  const Ran applied = host.text({"policy", "apply", slip});
  CHECK(applied.code == 0);
  CHECK(applied.out.find("nothing to change") == std::string::npos);
  CHECK(applied.out.find("web-1") != std::string::npos);
  CHECK(host.json({"host", "info"})["policy_in_force"] == slip);
  CHECK(host.json({"host", "info"})["policy_digest"] != own);
  CHECK(host.text({"policy", "apply", slip}).out == "nothing to change\n");
}

TEST_CASE("a policy that could not be applied does not say that nothing is to be changed") {
  DiskHost host;
  host.start();
  std::string text = kDiskPolicy;
  write_file(host.folder / "vdz.toml", text.replace(text.find("vda"), 3, "vdz"));
  REQUIRE(host.text({"policy", "apply"}).code == 0);
  const Ran applied = host.text({"policy", "apply", host.folder / "vdz.toml"});
  CHECK(applied.code == 2);
  CHECK(applied.err.find("vdz") != std::string::npos);
  CHECK(applied.out.find("nothing to change") == std::string::npos);
}

TEST_CASE("what only a module can know about a policy is a finding with its place") {
  DiskHost host;
  host.start();
  write_file(host.folder / "bad.toml",
             "version = 1\n[[vm]]\nmatch = \"web-*\"\n[vm.isolation]\ncpu_quota = \"30 cows\"\n");
  CHECK(host.text({"policy", "check", "--offline", host.folder / "bad.toml"}).code == 0);
  for (const auto* act : {"check", "diff", "apply"}) {
    const Ran ran = host.text({"policy", act, host.folder / "bad.toml"});
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find("bad.toml:5:") != std::string::npos);
    CHECK(ran.out.empty());
  }
  CHECK(host.text({"policy", "diff"}).code == 5);  // nothing was applied
}

TEST_CASE("the host says what it is, has loaded, and can do") {
  DiskHost host;
  host.start();
  const auto info = host.json({"host", "info"});
  CHECK(info["name"] == "host-a");
  CHECK(info["backend"] == "sim");
  CHECK(host.text({"host", "info"}).out.find("isolation") != std::string::npos);
  CHECK(host.json({"host", "capabilities"})["capabilities"].size() == 7);
  CHECK(host.json({"module", "list"})["modules"].size() == 2);
  bool has_sim = false;
  const auto plugins = host.json({"plugin", "list"});
  for (const auto& plugin : plugins["plugins"]) has_sim = has_sim || plugin["name"] == "sim";
  CHECK(has_sim);
  CHECK(tool({"module", "list", "--scan", "--module-path", lib("modules")}).out.find("throttle") != std::string::npos);
  CHECK(tool({"plugin", "list", "--scan", "--plugin-path", lib("plugins")}).out.find("sim") != std::string::npos);
}

TEST_CASE("without the module of a command the error names it") {
  DiskHost host;
  host.start();
  for (const auto& command : {std::vector<std::string>{"migrate", "list"}, {"attest", "host-b"}}) {
    const Ran ran = host.text(command);
    INFO(ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.find("vmsec.") != std::string::npos);
  }
}

TEST_CASE("an orderly end leaves a signed audit log; a second agent on the same state is refused") {
  DiskHost host;
  host.start();
  REQUIRE(host.text({"policy", "apply"}).code == 0);
  const Ran second = run("vmsecd", {"--config", host.config});
  CHECK(second.code == 2);
  CHECK(second.err.find("another vmsecd") != std::string::npos);
  CHECK(host.text({"vm", "list"}).code == 0);  // the first goes on

  host.agent->signal(SIGHUP);
  CHECK(host.text({"vm", "list"}).code == 0);
  host.agent->signal(SIGTERM);
  CHECK(host.agent->wait() == 0);
  CHECK_FALSE(std::filesystem::exists(host.socket));
  const auto acts = tool_json({"audit", "show", host.folder / "state"})["records"];
  CHECK_FALSE(acts.empty());
  const auto report =
      tool_json({"audit", "verify", host.folder / "state", "--key", host.folder / "state/local-identity/host-a.crt"});
  CHECK(report["good"] == true);
  CHECK(report["unsigned_records"] == 0);
}

TEST_CASE("a killed agent starts again on the same state") {
  DiskHost host;
  host.start();
  host.agent->signal(SIGKILL);
  host.agent->wait();
  std::filesystem::remove(host.log);
  host.start();
  CHECK(host.text({"host", "info"}).code == 0);
}

TEST_CASE("without an agent the tool opens the hypervisor itself") {
  const TempDir folder;
  const std::vector<std::string> options = {"--plugin",      "sim",           "--uri",         "sim:here",
                                            "--plugin-path", lib("plugins"),  "--module-path", lib("modules"),
                                            "--state",       folder / "state"};
  auto words = options;
  words.insert(words.end(), {"vm", "list"});
  CHECK(tool_json(words)["domains"].empty());
  words = options;
  words.insert(words.end(), {"module", "list"});
  CHECK(tool_json(words)["modules"].size() == 2);
  CHECK(tool({"--plugin", "none", "--plugin-path", lib("plugins"), "--state", folder / "state", "vm", "list"}).code ==
        2);
}

TEST_CASE("in JSON times are texts, limits that are not set are null, and lists have a name") {
  DiskHost host;
  host.start();
  const auto before = host.json({"vm", "limits", "web-1"});
  CHECK(before["cpu_quota_millis"].is_null());
  CHECK(before["disks"][0]["read"].is_null());
  CHECK(host.json({"vm", "events"})["events"][0]["time"].get<std::string>().ends_with("Z"));
  REQUIRE(host.text({"policy", "apply"}).code == 0);
  CHECK(host.json({"vm", "limits", "web-1"})["disks"][0]["write"].is_null());
  CHECK(host.json({"audit", "show"})["records"][0]["time"].get<std::string>().ends_with("Z"));
  CHECK(host.text({"audit", "show"}).out.find("  web-1  ") != std::string::npos);  // not its UUID
}

TEST_CASE("module show says what to grant, and only that") {
  DiskHost host;
  host.start();
  const Ran shown = host.text({"module", "show", "throttle"});
  INFO(shown.out);
  CHECK(shown.code == 0);
  const auto line = shown.out.substr(shown.out.find("to be granted"));
  CHECK(line.substr(0, line.find('\n')).find("vmsec.IoControl, vmsec.DomainControl") != std::string::npos);
  CHECK(line.substr(0, line.find('\n')).find("Journal") == std::string::npos);
  CHECK(host.text({"module", "show", "nobody"}).code == 2);
  CHECK(tool_json({"module", "show", "throttle", "--scan", "--module-path", lib("modules")})["section"] == "throttle");
}

TEST_CASE("without an agent the plugin's settings are given on the command line") {
  const DiskHost host;
  const std::vector<std::string> words = {"--plugin",
                                          "sim",
                                          "--plugin-path",
                                          lib("plugins"),
                                          "--state",
                                          host.folder / "tool",
                                          "--setting",
                                          "domains=" + host.folder / "domains",
                                          "vm",
                                          "list"};
  CHECK(tool_json(words)["domains"].size() == 1);
  CHECK(tool({"--plugin", "sim", "--plugin-path", lib("plugins"), "--state", host.folder / "tool", "--setting",
              "domains", "vm", "list"})
            .code == 2);
}

TEST_CASE("a host with a renewed certificate goes on with its audit log once the former one is named") {
  DiskHost host;
  const auto issue = [&](const std::string& folder) {
    std::filesystem::create_directory(host.folder / folder);
    REQUIRE(tool({"pki", "issue", host.folder / "ca", "host-a", "--out", host.folder / folder}).code == 0);
  };
  REQUIRE(tool({"pki", "init", host.folder / "ca", "--name", "Test"}).code == 0);
  issue("old");
  issue("new");
  const std::string text = read_file(host.config);
  const auto configure = [&](const std::string& folder, const std::string& more = {}) {
    write_file(host.config, text + "[identity]\nca = \"ca/ca.crt\"\nrevocations = \"ca/ca.crl\"\ncertificate = \"" +
                                folder + "/host-a.crt\"\nkey = \"" + folder + "/host-a.key\"\n" + more);
  };
  const auto end = [&] {
    host.agent->signal(SIGTERM);
    CHECK(host.agent->wait() == 0);
    std::filesystem::remove(host.log);
  };
  configure("old");
  host.start();
  REQUIRE(host.text({"policy", "apply"}).code == 0);
  end();
  configure("new");
  const Ran refused = run("vmsecd", {"--config", host.config});
  CHECK(refused.code == 3);
  CHECK(refused.err.find("identity.former_certificates") != std::string::npos);
  configure("new", "former_certificates = [\"old/host-a.crt\"]\n");
  host.start();
  end();
  configure("new");  // needed for one start
  host.start();
  end();
  CHECK(tool({"audit", "verify", host.folder / "state", "--key", host.folder / "new/host-a.crt", "--key",
              host.folder / "old/host-a.crt"})
            .code == 0);
  CHECK(tool({"audit", "verify", host.folder / "state", "--key", host.folder / "new/host-a.crt"}).code == 3);
}
