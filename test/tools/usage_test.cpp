#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <map>

#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;
using Words = std::vector<std::string>;

namespace {

const std::vector<Words> kCommands = {{"host", "info"},
                                      {"host", "capabilities"},
                                      {"vm", "list"},
                                      {"vm", "show"},
                                      {"vm", "pause"},
                                      {"vm", "resume"},
                                      {"vm", "define"},
                                      {"vm", "export"},
                                      {"vm", "start"},
                                      {"vm", "undefine"},
                                      {"vm", "limits"},
                                      {"vm", "stats"},
                                      {"vm", "events"},
                                      {"policy", "check"},
                                      {"policy", "diff"},
                                      {"policy", "apply"},
                                      {"grant", "list"},
                                      {"grant", "revoke"},
                                      {"grant", "restore"},
                                      {"tenant", "show"},
                                      {"tenant", "choose"},
                                      {"tenant", "drop"},
                                      {"ticket", "create"},
                                      {"ticket", "show"},
                                      {"migrate"},
                                      {"migrate", "start"},
                                      {"migrate", "status"},
                                      {"migrate", "list"},
                                      {"migrate", "resolve"},
                                      {"migrate", "recover"},
                                      {"migrate", "abort"},
                                      {"attest"},
                                      {"attest", "enrol"},
                                      {"attest", "learn"},
                                      {"attest", "log"},
                                      {"attest", "explain"},
                                      {"attest", "diff"},
                                      {"attest", "status"},
                                      {"attest", "watch"},
                                      {"attest", "revoke"},
                                      {"attest", "guest"},
                                      {"attest", "release"},
                                      {"audit", "show"},
                                      {"audit", "verify"},
                                      {"pki", "init"},
                                      {"pki", "issue"},
                                      {"pki", "revoke"},
                                      {"pki", "crl"},
                                      {"pki", "list"},
                                      {"pki", "placement-key"},
                                      {"module", "list"},
                                      {"module", "new"},
                                      {"module", "restart"},
                                      {"inspect"},
                                      {"module", "show"},
                                      {"module", "key"},
                                      {"module", "sign"},
                                      {"module", "verify"},
                                      {"module", "inspect"},
                                      {"module", "trust", "list"},
                                      {"module", "trust", "add"},
                                      {"module", "trust", "remove"},
                                      {"module", "trust", "revoke"},
                                      {"module", "trust", "minimum"},
                                      {"plugin", "list"},
                                      {"doctor"},
                                      {"completion", "bash"}};

std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) text += " " + word;
  return text;
}

}  // namespace

TEST_CASE("the help of every command shows an example of it") {
  for (const auto& command : kCommands) {
    Words words = command;
    words.emplace_back("--help");
    const Ran ran = tool(words);
    INFO("vmsec" << joined(words) << "\n" << ran.out << ran.err);
    CHECK(ran.code == 0);
    CHECK(ran.out.find("Examples:") != std::string::npos);
    CHECK(ran.out.find("vmsec" + joined(command)) != std::string::npos);
  }
}

TEST_CASE("the help lists the exit codes") {
  const Ran ran = tool({"--help"});
  CHECK(ran.code == 0);
  CHECK(ran.out.find("Exit codes:") != std::string::npos);
  CHECK(ran.out.find("5  \"policy diff\"") != std::string::npos);
  CHECK(ran.out.find("6  \"inspect\"") != std::string::npos);
}

TEST_CASE("the version is printed") {
  CHECK(tool({"--version"}).out.starts_with("vmsec "));
  CHECK(run("vmsecd", {"--version"}).out.starts_with("vmsecd "));
}

TEST_CASE("a wrong command line is the caller's mistake, says so, and prints no result") {
  const std::vector<Words> mistakes = {{},
                                       {"fly"},
                                       {"vm"},
                                       {"vm", "show"},
                                       {"vm", "show", "a", "b"},
                                       {"vm", "list", "--colour"},
                                       {"vm", "define"},
                                       {"vm", "define", "a", "b"},
                                       {"vm", "define", "a", "--without"},
                                       {"vm", "define", "a", "--dry-run", "--without", "tpm"},
                                       {"vm", "export"},
                                       {"vm", "start"},
                                       {"vm", "undefine", "a", "--force"},
                                       {"vm", "events", "--after", "soon"},
                                       {"vm", "events", "--count", "0"},
                                       {"--uri", "sim:a", "vm", "list"},
                                       {"migrate"},
                                       {"migrate", "web-1"},
                                       {"migrate", "web-1", "--to", "b", "--cipher", "rot13"},
                                       {"migrate", "abort"},
                                       {"attest"},
                                       {"attest", "host-b", "--local"},
                                       {"attest", "log"},
                                       {"attest", "log", "log.bin", "--pcr", "24"},
                                       {"attest", "log", "log.bin", "other.bin"},
                                       {"attest", "revoke", "host-b", "host-c", "--reason", "x"},
                                       {"attest", "host-b", "learn"},
                                       {"attest", "enrol", "host-b", "--local"},
                                       {"attest", "learn", "--guest", "web-1", "--log", "log.bin"},
                                       {"ticket", "create", "--key", "k"},
                                       {"audit", "verify", "log"},
                                       {"pki", "init", "ca"},
                                       {"pki", "crl", "ca", "--days", "0"},
                                       {"pki", "placement-key", "k", "--key-type", "rsa"},
                                       {"policy", "check", "--offline"},
                                       {"module", "show"},
                                       {"module", "new"},
                                       {"module", "new", "Upper"},
                                       {"module", "new", "../up"},
                                       {"module", "new", "a", "--language", "rust"},
                                       {"inspect", "memory_scanner"},
                                       {"inspect", "memory_scanner", "web-1", "--set", "hits"},
                                       {"inspect", "memory_scanner", "web-1", "--set", ":=5"},
                                       {"inspect", "memory_scanner", "web-1", "--set", "hits:=5 6"},
                                       {"module", "sign", "x.so"},
                                       {"module", "verify"},
                                       {"module", "verify", "x.so", "--kind", "driver"},
                                       {"module", "trust"},
                                       {"module", "trust", "add"},
                                       {"module", "trust", "add", "acme", "k.pub", "--role", "root"},
                                       {"module", "trust", "minimum", "scanner"},
                                       {"help"},
                                       {"-v"},
                                       {"completion", "zsh"}};
  for (const auto& words : mistakes) {
    const Ran ran = tool(words);
    INFO("vmsec" << joined(words) << "\n" << ran.out << ran.err);
    CHECK(ran.code == 2);
    CHECK(ran.err.starts_with("vmsec: "));
    CHECK(ran.out.empty());
  }
}

TEST_CASE("a wrong command is named, with those there are") {
  const auto error = [](const Words& words) { return tool(words).err; };
  CHECK(error({"vms", "list"}).find("unknown command \"vms\"; vmsec has host, vm, ") != std::string::npos);
  CHECK(error({"vm", "lst"}).find("unknown command \"lst\"; vm has list, show, ") != std::string::npos);
  CHECK(error({"-v"}).find("unknown option \"-v\"") != std::string::npos);
  CHECK(error({"ticket"}).find("a command is missing; ticket has create, show") != std::string::npos);
}

TEST_CASE("a file that cannot be read is named with the cause, and an empty one is no policy") {
  const TempDir folder;
  write_file(folder / "empty.toml", "");
  CHECK(tool({"policy", "check", "--offline", folder / "none.toml"}).err.find("No such file") != std::string::npos);
  CHECK(tool({"policy", "check", "--offline", folder.path()}).err.find("Is a directory") != std::string::npos);
  const Ran empty = tool({"policy", "check", "--offline", folder / "empty.toml"});
  CHECK(empty.code == 2);
  CHECK(empty.err.find("version") != std::string::npos);
  CHECK(tool({"ticket", "show", folder / "none.ticket"}).err.find("No such file") != std::string::npos);
}

TEST_CASE("what is refused before any host was asked sends nobody to an audit log") {
  const TempDir folder;
  REQUIRE(tool({"pki", "placement-key", folder / "placement.key"}).code == 0);
  REQUIRE(::chmod((folder / "placement.key").c_str(), 0644) == 0);
  const Ran ran = tool({"ticket", "create", "--key", folder / "placement.key", "--vm", "web-1", "--to", "host-b",
                        "--source-cert", "a.crt", "--destination-cert", "b.crt"});
  CHECK(ran.code == 3);
  CHECK(ran.err.find("audit show") == std::string::npos);
}

TEST_CASE("without an agent the error says what to do") {
  const TempDir folder;
  for (const Words& command : {Words{"vm", "list"}, Words{"host", "info"}, Words{"policy", "diff"},
                               Words{"migrate", "list"}, Words{"attest", "host-b"}, Words{"audit", "show"}}) {
    Words words{"--agent", folder / "nobody.sock"};
    words.insert(words.end(), command.begin(), command.end());
    const Ran ran = tool(words);
    INFO("vmsec" << joined(words) << "\n" << ran.out << ran.err);
    CHECK(ran.code == 1);
    CHECK(ran.err.find("start vmsecd") != std::string::npos);
    CHECK(ran.out.empty());
  }
}

TEST_CASE("global options may stand behind the command") {
  const TempDir folder;
  CHECK(tool({"vm", "list", "--json", "--agent", folder / "nobody.sock"}).code == 1);
}

TEST_CASE("doctor reports each probe, as JSON too") {
  const Ran text = tool({"doctor"});
  CHECK((text.code == 0 || text.code == 1));
  for (const auto* name :
       {"KVM", "QEMU", "libvirt", "Xen", "TPM 2.0", "swtpm", "cgroups", "tc", "ifb", "memfd", "vmsecd"})
    CHECK(text.out.find(name) != std::string::npos);
  const auto json = tool_json({"doctor"}, text.code);
  std::map<std::string, int> areas;
  for (const auto& probe : json["probes"]) {
    ++areas[probe["area"]];
    CHECK((probe["standing"] == "ok" || !probe["detail"].get<std::string>().empty()));
  }
  CHECK(areas["machine"] == 13);
  CHECK(areas["sandbox"] == 6);
  CHECK(areas["trust"] >= 4);
  CHECK(json["backends"].empty() == (text.code == 1));
}

TEST_CASE("the completion script is good bash and completes commands") {
  const TempDir folder;
  const Ran ran = tool({"completion", "bash"});
  CHECK(ran.out == read_file(std::string(VMSEC_SOURCE_DIR) + "/tools/vmsec/completion.bash"));
  write_file(folder / "vmsec.bash", ran.out);
  write_file(folder / "try",
             "PATH=" VMSEC_BINARY_DIR "/bin:$PATH; source " + folder / "vmsec.bash" +
                 "\n"
                 "try() { COMP_WORDS=(vmsec \"$@\"); COMP_CWORD=$#; _vmsec; echo \"${COMPREPLY[*]}\"; }\n"
                 "try p; try vm und; try policy ''; try migrate re; try ticket create --des; try --plugin ''\n");
  const std::string command = "bash '" + folder / "try" + "' > '" + folder / "out" + "' 2>&1";
  REQUIRE(std::system(command.c_str()) == 0);
  const std::string out = read_file(folder / "out");
  INFO(out);
  CHECK(out == "policy pki plugin\nundefine\ncheck diff apply\nresolve recover\n--destination-cert\nkvm sim\n");
}
