// A definition's file: what is written reads back the same, and what is wrong has its place.
#include "libvmsec/policy/random_definition.hpp"

namespace vmsec::test {
namespace {

constexpr const char* kWhole = R"(version = 1
name = "web-1"
uuid = "5f0c2a4e-6a5b-4a3f-9d58-0f5b0a1c2d3e"
guest = "pvh"
vcpus = 2
vcpus_maximum = 4
memory = "512 MiB"
tpm = true
tags = ["web"]
[boot]
kernel = "/boot/vmlinuz"
initrd = "/boot/initrd"
command_line = "console=ttyS0"
[[disk]]
target = "vda"
source = "/var/lib/vms/web-1.raw"
format = "qcow2"
read_only = true
[[nic]]
mac = "52:54:00:12:34:56"
bridge = "br0"
)";

constexpr const char* kLeast = "version = 1\nname = \"a\"\nvcpus = 1\nmemory = \"1 MiB\"\n";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const auto at = text.find(what);
  if (at == std::string::npos) FAIL("the file has no " + what);
  return text.replace(at, what.size(), by);
}

std::string error_of(const std::string& text) {
  const auto parsed = parse_definition(text, "f.toml");
  if (parsed) FAIL("it was read: " + text);
  CHECK(parsed.error().code == Code::invalid_argument);
  return parsed.error().message;
}

}  // namespace

TEST_CASE("every key of a definition's file is read") {
  const auto read = parse_definition(kWhole, "f.toml");
  REQUIRE(read);
  DomainDefinition want;
  want.domain = *Uuid::parse("5f0c2a4e-6a5b-4a3f-9d58-0f5b0a1c2d3e");
  want.name = "web-1";
  want.guest = GuestKind::pvh;
  want.vcpus = 2;
  want.vcpus_maximum = 4;
  want.memory = {512U << 20};
  want.tpm = true;
  want.tags = {"web"};
  want.boot = {Firmware::none, "/boot/vmlinuz", "/boot/initrd", "console=ttyS0"};
  want.disks = {{"vda", "/var/lib/vms/web-1.raw", DiskFormat::qcow2, true}};
  want.nics = {{"52:54:00:12:34:56", "br0"}};
  CHECK(*read == want);
}

TEST_CASE("what a file leaves out has its default, and the UUID is left to whoever defines it") {
  const auto read = parse_definition(kLeast, "f.toml");
  REQUIRE(read);
  CHECK(read->domain.is_nil());
  CHECK(read->vcpus_maximum == 1);
  CHECK(read->guest == GuestKind::usual);
  CHECK(read->boot == Boot{});
  CHECK_FALSE(parse_definition(write_definition(*read), "f")->tpm);
}

TEST_CASE("a definition that is written reads back the same") {
  for (unsigned seed = 0; seed < 500; ++seed) {
    const DomainDefinition definition = Draw(seed).definition();
    const std::string text = write_definition(definition);
    const auto read = parse_definition(text, "f.toml");
    if (!read) FAIL("seed " << seed << ": " << read.error().message << "\n" << text);
    if (*read != definition) FAIL("seed " << seed << " reads back as another\n" << text);
    CHECK(write_definition(*read) == text);
  }
}

TEST_CASE("what is no definition does not escape from its quotes") {
  DomainDefinition odd;
  odd.name = "a\"\ntpm = true\n#\\";
  odd.tags = {"\x01\x7f"};
  const std::string text = write_definition(odd);
  CHECK(text.find("\ntpm") == std::string::npos);
  CHECK_FALSE(parse_definition(text, "f.toml"));
}

TEST_CASE("a flaw has its line and column") {
  const auto [what, by, want] = GENERATE(table<std::string, std::string, std::string>(
      {{"\"web-1\"", "\"-web\"", "f.toml:2:8: name: "},
       {"vcpus = 2", "vcpus = 0", "f.toml:5:9: vcpus: want at least 1"},
       {"vcpus_maximum = 4", "vcpus_maximum = 1", "f.toml:6:17: vcpus_maximum: "},
       {"vcpus_maximum = 4", "vcpus_maximum = -1", "f.toml:6:17: vcpus_maximum: "},
       {"vcpus = 2\nvcpus_maximum = 4", "vcpus = 129", "f.toml:5:9: vcpus_maximum: "},
       {"512 MiB", "1000 B", "f.toml:7:10: memory: want a multiple of 1 MiB"},
       {"512 MiB", "512", "f.toml:7:10: memory: \"512\" is not a size: the unit is missing"},
       {"\"512 MiB\"", "536870912", "f.toml:7:10: memory is an integer: want a size"},
       {"[\"web\"]", "[\"web\", \"web\"]", "f.toml:9:8: tags: \"web\" stands there twice"},
       {"[\"web\"]", "[1]", "f.toml:9:9: a tag is an integer"},
       {"\"pvh\"", "\"lxc\"", "f.toml:4:9: guest: \"lxc\" is none: want one of usual, hvm, pv, pvh"},
       {"5f0c2a4e", "5f0c2a4", "f.toml:3:8: uuid: "},
       {"kernel = \"/boot/vmlinuz\"", "kernel = \"vmlinuz\"", "f.toml:11:10: boot.kernel: want an absolute path"},
       {"kernel = \"/boot/vmlinuz\"\n", "", "f.toml:11:10: boot.initrd: is for a kernel"},
       {"[boot]", "[boot]\nfirmware = \"uefi\"", "f.toml:11:12: boot.firmware: "},
       {"/var/lib/vms/web-1.raw", "/var/../web-1.raw", "f.toml:16:10: disk.vda.source: "},
       {"\"vda\"", "\"sda\"", "f.toml:15:10: disk.target: "},
       {"[[nic]]", "[[disk]]\ntarget = \"vda\"\nsource = \"/x\"\n[[nic]]",
        "f.toml:20:10: disk.vda: stands there twice"},
       {"\"qcow2\"", "\"vmdk\"", "f.toml:17:10: disk.vda.format: \"vmdk\" is none: want one of raw, qcow2"},
       {"52:54", "53:54", "f.toml:20:7: nic.0.mac: "},
       {"\"br0\"", "\"a bridge\"", "f.toml:21:10: nic.0.bridge: "},
       {"\"br0\"", "\"\"", "f.toml:21:10: nic.0.bridge is empty: leave it out"},
       {"tpm = true", "tpm = \"yes\"", "f.toml:8:7: tpm is a text: want true or false"},
       {"read_only", "readonly", "f.toml:18:1: disk.readonly: unknown key: want target, source, format, read_only"},
       {"tpm", "cpus", "f.toml:8:1: cpus: unknown key: want version, name, "},
       {"version = 1", "version = 2", "f.toml:1:11: version 2 is not known here"},
       {"version = 1", "# none", "f.toml:1:1: the version is missing"},
       {"name = \"web-1\"\n", "", "f.toml:1:1: name is missing"},
       {"source = \"/var/lib/vms/web-1.raw\"\n", "", "f.toml:14:1: disk.source is missing"},
       {"mac = \"52:54:00:12:34:56\"\n", "", "f.toml:19:1: nic.mac is missing"},
       {"[[nic]]", "[nic]", "f.toml:19:1: nic is a table: want [[nic]]"},
       {"[[nic]]", "[[nic]", "f.toml:19:7: not TOML: "}}));
  INFO(what << " -> " << by);
  CHECK_THAT(error_of(replaced(kWhole, what, by)), Catch::StartsWith(want));
}

TEST_CASE("all that is wrong is told at once, a line each") {
  const std::string error = error_of("version = 1\nname = 7\nvcpus = \"two\"\nwhat = 1\n[[disk]]\n");
  for (const auto* part : {"2:8: name is an integer", "3:9: vcpus is a text", "4:1: what: unknown key",
                           "memory is missing", "5:1: disk.target is missing", "5:1: disk.source is missing"})
    CHECK_THAT(error, Catch::Contains(part));
}

}  // namespace vmsec::test
