// What a configuration from elsewhere may hold; each refusal changes one value of one that is taken.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "incoming_policy.hpp"

using namespace vmsec;
using namespace vmsec::xen;
using nlohmann::json;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "vmsec-incoming-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path = name;
    std::ofstream(path / "web.img") << "disk";
    std::ofstream(path / "vmlinuz") << "kernel";
    std::filesystem::create_symlink("/etc/hostname", path / "link.img");
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

struct Host {
  Folder folder;
  IncomingPolicy policy = *IncomingPolicy::from_settings({{"incoming.disk_roots", folder.path.string()},
                                                          {"incoming.kernel_roots", folder.path.string()},
                                                          {"incoming.bridges", "br0, br1"}});
  json document = {
      {"c_info",
       {{"type", "pvh"},
        {"name", "web"},
        {"uuid", "5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6"},
        {"run_hotplug_scripts", "True"}}},
      {"b_info",
       {{"max_vcpus", 2},
        {"avail_vcpus", {0, 1}},
        {"max_memkb", 131072},
        {"target_memkb", 131072},
        {"sched_params", {{"weight", 256}, {"cap", 30}}},
        {"kernel", (folder.path / "vmlinuz").string()},
        {"cmdline", "console=hvc0"},
        {"arch_arm", json::object()},
        {"type.pvh", {{"pvshim", "False"}}}}},
      {"disks",
       {{{"pdev_path", (folder.path / "web.img").string()}, {"vdev", "xvda"}, {"format", "raw"}, {"readwrite", 1}}}},
      {"nics", {{{"devid", 0}, {"mac", "00:16:3e:01:02:03"}, {"bridge", "br0"}}}},
      {"on_crash", "destroy"}};

  [[nodiscard]] Result<std::string> accept() const {
    DomainDescription description;
    description.domain = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");
    description.name = "web";
    description.format = "libxl-json";
    description.configuration = document.dump();
    description.memory.value = 128ULL << 20;
    description.vcpus = 2;
    return accept_configuration(policy, description, {"pool-a", "--incoming"});
  }

  void refuse(const char* pointer, const json& value, const std::string& cause) {
    const json before = document;
    document[json::json_pointer(pointer)] = value;
    INFO(pointer << " = " << value.dump());
    const auto result = accept();
    document = before;
    REQUIRE_FALSE(result);
    CHECK(result.error().code == Code::denied);
    INFO(result.error().message);
    CHECK(result.error().message.find(cause) != std::string::npos);
  }
};

}  // namespace

TEST_CASE("a configuration that the policy allows is taken, and put where this host wants it") {
  const Host host;
  const auto accepted = host.accept();
  INFO((accepted ? "" : accepted.error().message));
  REQUIRE(accepted);
  const json written = json::parse(*accepted);
  CHECK(written["c_info"]["name"] == "web--incoming");
  CHECK(written["c_info"]["pool_name"] == "pool-a");
  CHECK(written["disks"][0]["vdev"] == "xvda");
  CHECK(written["b_info"]["avail_vcpus"] == json({0, 1}));
  CHECK(written["disks"][0]["backend"] == "phy");
  CHECK(written["disks"][0]["format"] == "raw");
}

TEST_CASE("what starts a program in dom0, or gives a device of it away, is refused") {
  Host host;
  host.refuse("/nics/0/script", "/tmp/evil", "nics[0].script");
  host.refuse("/nics/0", json::array(), "nics: one is no object");
  host.refuse("/disks/0", json::array(), "disks: one is no object");
  host.refuse("/disks/0/script", "/tmp/evil", "disks[0].script");
  host.refuse("/b_info/device_model", "/tmp/evil", "b_info.device_model");
  host.refuse("/b_info/extra", json::array({"-device", "x"}), "b_info.extra");
  host.refuse("/b_info/type.pv", {{"bootloader", "/tmp/evil"}}, "b_info.type.pv.bootloader");
  host.refuse("/b_info/type.hvm", json::object(), "b_info.?");
  host.refuse("/c_info/type", "hvm", "c_info.type");
  host.refuse("/pcidevs", json::array({json::object()}), "pcidevs[0]");
  host.refuse("/pcidevs", json::array({{{"dev", 3}}}), "pcidevs[0]");
  host.refuse("/disks/0/backend", "qdisk", "disks[0].backend");
  host.refuse("/disks/0/format", "qcow2", "disks[0].format");
  host.refuse("/disks/0/backend_domid", 3, "disks[0].backend_domid");
  host.refuse("/c_info/driver_domain", "True", "c_info.driver_domain");
  host.refuse("/b_info/iomem", json::array({{{"start", 0}, {"number", 16}}}), "b_info.iomem[0]");
  host.refuse("/b_info/ioports", json::array({{{"first", 0}, {"number", 16}}}), "b_info.ioports[0]");
  host.refuse("/c_info/pool_name", "Pool-0", "c_info.pool_name");
  host.refuse("/unheard", "of", "unheard");
}

TEST_CASE("another domain than the one that was announced is refused") {
  Host host;
  host.refuse("/c_info/name", "db", "is not the domain's name");
  host.refuse("/c_info/uuid", "5f08b624-2dcb-4ea5-8f7b-75a8a056f9d7", "is not the domain's UUID");
  host.refuse("/b_info/max_memkb", 131073, "is not the description's, 131072");
  host.refuse("/b_info/max_vcpus", 3, "is not the description's, 2");
  host.document["b_info"].erase("max_memkb");
  const auto without = host.accept();
  REQUIRE_FALSE(without);
  CHECK(without.error().message.find("wants c_info.name") != std::string::npos);
}

TEST_CASE("paths, bridges and interfaces outside of the policy are refused") {
  Host host;
  host.refuse("/disks/0/pdev_path", "/etc/shadow", "incoming.disk_roots");
  host.refuse("/disks/0/pdev_path", (host.folder.path / "../etc/shadow").string(), "plain absolute path");
  host.refuse("/disks/0/pdev_path", (host.folder.path / "link.img").string(), "link.img");
  host.refuse("/disks/0/pdev_path", "/dev/sda", "incoming.disk_roots");
  host.refuse("/b_info/kernel", "/boot/vmlinuz", "incoming.kernel_roots");
  host.refuse("/nics/0/bridge", "br9", "incoming.bridges");
  host.refuse("/nics/0/ifname", "vif9.0", "nics[0].ifname");
  host.refuse("/nics/0/mtu", 68, "nics[0].mtu");
  host.refuse("/nics/0", {{"devid", 0}}, "has no bridge");
  host.refuse("/nics/0/bridge", "", "has no bridge");
  host.refuse("/nics/0", {{"devid", 0}, {"script", "/bin/true"}}, "has no bridge");
}

TEST_CASE("a NIC that is connected to nothing is taken") {
  Host host;
  host.document["nics"][0]["bridge"] = "";
  host.document["nics"][0]["script"] = "/bin/true";
  const auto accepted = host.accept();
  INFO((accepted ? "" : accepted.error().message));
  CHECK(accepted);
}

TEST_CASE("what libxl would trip over, or take as more than was announced, is refused") {
  Host host;
  host.refuse("/b_info/type.pv", json::object(), "another type than c_info.type");
  host.refuse("/b_info/avail_vcpus", {0, 2147483647}, "no list of the domain's vCPUs");
  host.refuse("/b_info/target_memkb", 131073, "more than the description's");
  host.refuse("/b_info/shadow_memkb", 1, "b_info.shadow_memkb");
  host.refuse("/b_info/sched_params/weight", 4294967296, "no number up to");
  host.refuse("/b_info/sched_params/cap", -1, "no number up to");
  host.refuse("/disks/0/vdev", "d00000000000000000000p0", "no disk of the form xvda");
  host.refuse("/disks/0/vdev", "xvd", "no disk of the form xvda");
  host.refuse("/disks/1", json(host.document["disks"][0]), "is there twice");
  host.refuse("/disks/0", {{"vdev", "xvda"}}, "no pdev_path");
}

TEST_CASE("a key that only looks like another key's path counts as nothing") {
  Host host;
  host.document["c_info"].erase("uuid");
  host.document["c_info.uuid"] = "5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6";
  const auto result = host.accept();
  REQUIRE_FALSE(result);
  CHECK(result.error().code == Code::denied);
}

TEST_CASE("of a key that comes twice, libxl reads the one that was checked") {
  const Host host;
  DomainDescription description;
  description.domain = *Uuid::parse("5f08b624-2dcb-4ea5-8f7b-75a8a056f9d6");
  description.name = "web";
  description.memory.value = 128ULL << 20;
  description.vcpus = 2;
  std::string text = host.document.dump();
  text.insert(1, R"("nics":[{"script":"/tmp/evil"}],)");
  description.configuration = text;
  const auto accepted = accept_configuration(host.policy, description, {});
  if (accepted) CHECK(accepted->find("evil") == std::string::npos);
}

TEST_CASE("what is no JSON, or far too much of it, is refused") {
  DomainDescription description;
  description.name = "web";
  description.configuration = "<domain/>";
  CHECK(accept_configuration({}, description, {}).error().code == Code::invalid_argument);
  description.configuration = "[]";
  CHECK(accept_configuration({}, description, {}).error().code == Code::invalid_argument);
  description.configuration = std::string(70'000, ' ') + "{}";
  CHECK(accept_configuration({}, description, {}).error().code == Code::limit_exceeded);
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += R"({"b_info":)";
  description.configuration = deep + "1" + std::string(100, '}');
  CHECK(accept_configuration({}, description, {}).error().code == Code::denied);
}

TEST_CASE("settings for incoming domains that nobody knows are said") {
  CHECK(IncomingPolicy::from_settings({{"incoming.disk_rots", "/srv"}}).error().code == Code::invalid_argument);
  CHECK(IncomingPolicy::from_settings({{"incoming.disk_roots", "srv"}}).error().code == Code::invalid_argument);
}
