#include <algorithm>
#include <filesystem>
#include <fstream>

#include "qemu_process.hpp"
#include "real_host.hpp"

using namespace vmsec;
using namespace vmsec::kvm::test;

namespace {

class Image {
 public:
  Image() : path_(std::filesystem::temp_directory_path() / ("vmsec-test-disk-" + std::to_string(getpid()))) {
    std::ofstream file(path_, std::ios::binary);
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 32; ++i) file << block;
  }
  ~Image() { std::filesystem::remove(path_); }
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;
  [[nodiscard]] std::string xml() const {
    return "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='" + path_.string() +
           "'/><target dev='vda' bus='virtio'/></disk>";
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("a disk's rate holds, in bytes and in operations") {
  if (!have_host()) return;
  Host host;
  const Image image;
  const Guest guest(host, {.name = "disk", .command_line = "verify=0 disk=1 diskkb=64", .devices = image.xml()});
  const auto counters = [&] { return must(host.io->statistics(guest.ref())).disks.at(0); };
  REQUIRE(eventually([&] { return counters().read.value > 0; }));
  const double free_rate = per_second(2, [&] { return counters().read.value; });
  must(host.io->set_disk({guest.uuid, {.target = "vda", .read = {5'000'000}}}));
  CHECK(must(host.io->get(guest.ref())).disks.at(0).read.value == 5'000'000);
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));  // what the limit let through before is spent
  const double bounded = per_second(4, [&] { return counters().read.value; });
  WARN("disk limit 5000000 bytes/s: " << bounded << " read (without: " << free_rate << ")");
  CHECK(bounded <= 5'000'000 * 1.1);
  CHECK(free_rate > bounded);
  must(host.io->set_disk({guest.uuid, {.target = "vda", .read_ops = {20}}}));
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));  // what the limit let through before is spent
  const double ops = per_second(4, [&] { return counters().read_ops; });
  WARN("disk limit 20 operations/s: " << ops << " done");
  CHECK(ops <= 20 * 1.15);
  must(host.io->set_disk({guest.uuid, {.target = "vda"}}));
  const DiskLimit none{.target = "vda"};
  CHECK(must(host.io->get(guest.ref())).disks.at(0) == none);
}

TEST_CASE("a disk's bursts are read back, and a limit replaces the whole one before") {
  if (!have_host()) return;
  Host host;
  const Image image;
  const Guest guest(host, {.name = "burst", .devices = image.xml(), .persistent = true});
  const DiskLimit full{.target = "vda",
                       .read = {5'000'000},
                       .write = {4'000'000},
                       .read_ops = {500},
                       .write_ops = {400},
                       .read_burst = {10'000'000},
                       .write_burst = {8'000'000},
                       .burst_seconds = 3};
  for (int i = 0; i < 2; ++i) must(host.io->set_disk({guest.uuid, full}));
  CHECK(must(host.io->get(guest.ref())).disks.at(0) == full);
  const DiskLimit one{.target = "vda", .write = {1'000'000}};
  must(host.io->set_disk({guest.uuid, one}));
  CHECK(must(host.io->get(guest.ref())).disks.at(0) == one);
  const std::unique_ptr<char, decltype(&std::free)> text(virDomainGetXMLDesc(guest.handle(), VIR_DOMAIN_XML_INACTIVE),
                                                         &std::free);
  CHECK(std::string(text.get()).find("<write_bytes_sec>1000000</write_bytes_sec>") != std::string::npos);
  const auto info = must(host.domains->get(guest.ref()));
  CHECK(info.disks.at(0).capacity.value == 32 << 20);
}

TEST_CASE("a device that the domain has not is not found") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "nodev"});
  CHECK(refusal(host.io->set_disk({guest.uuid, {.target = "vdz"}})).code == Code::not_found);
  CHECK(refusal(host.io->set_nic({guest.uuid, {.target = "lo"}})).code == Code::not_found);
  CHECK(must(host.io->get(guest.ref())).disks.empty());
}

TEST_CASE("a NIC's limit is set on its tap and read back from there, or the call says why not") {
  if (!have_host()) return;
  Host host;
  const Guest guest(host, {.name = "nic",
                           .devices = "<interface type='ethernet'><target dev='kctap0' managed='yes'/>"
                                      "<model type='virtio'/></interface>"});
  const auto name = must(host.domains->get(guest.ref())).name;
  const auto qemu = vmsec::kvm::find_qemu(environment("VMSEC_TEST_KVM_RUN_DIR"), name, guest.uuid);
  const NicLimit wanted{"kctap0", {3'000'000}, {2'000'000}};
  CHECK(must(host.io->statistics(guest.ref())).nics.at(0).target == "kctap0");
  const auto set = host.io->set_nic({guest.uuid, wanted});
  if (!qemu || !vmsec::kvm::shares_network(*qemu)) {
    WARN("the tap is in another namespace than this test: only the refusal is shown");
    if (set) return;  // libvirt's own way works in this kernel
    CHECK(set.error().code == Code::unsupported);
    CHECK(must(host.io->get(guest.ref())).nics.at(0) == NicLimit{"kctap0", {}, {}});
    return;
  }
  must(set);
  must(host.io->set_nic({guest.uuid, wanted}));
  CHECK(must(host.io->get(guest.ref())).nics.at(0) == wanted);
  must(host.io->set_nic({guest.uuid, {"kctap0", {0}, {1'000'000}}}));
  CHECK(must(host.io->get(guest.ref())).nics.at(0) == NicLimit{"kctap0", {0}, {1'000'000}});
  must(host.io->set_nic({guest.uuid, {"kctap0", {0}, {0}}}));
  CHECK(must(host.io->get(guest.ref())).nics.at(0) == NicLimit{"kctap0", {}, {}});
}
