#include "copied_disks.hpp"

#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;

namespace {

constexpr Bytes kSize{1 << 20};

std::string disk(const std::string& target, const std::string& more, const std::string& attributes = "type='file'") {
  return "<disk " + attributes + "><driver name='qemu' type='raw'/><source file='/srv/" + target +
         ".img'/><target dev='" + target + "'/>" + more + "</disk>";
}
std::string domain(const std::string& disks) { return "<domain><devices>" + disks + "</devices></domain>"; }

std::string refusal(const std::string& xml, const std::vector<DescribedDisk>& described) {
  const auto copied = copied_disks(xml, described);
  REQUIRE_FALSE(copied);
  return copied.error().message;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("writable disks of files are copied, and of the others it is said why not") {
  const auto disks = disks_to_copy(data("domain.xml"), {});
  REQUIRE(disks);
  REQUIRE(disks->size() == 2);  // the drive has no medium
  CHECK(disks->at(0).target == "vda");
  CHECK(disks->at(0).stays.empty());
  CHECK(disks->at(1).target == "sda");
  CHECK(disks->at(1).stays == "shareable");
  const auto stays = [](const std::string& one, const std::vector<std::string>& shared = {}) {
    const auto found = disks_to_copy(domain(one), shared);
    REQUIRE(found);
    REQUIRE(found->size() == 1);
    return found->front().stays;
  };
  CHECK(stays(disk("vda", "<readonly/>")) == "read-only");
  CHECK(stays(disk("sda", "", "type='file' device='floppy'")) == "removable");
  CHECK(stays("<disk type='block'><source dev='/dev/vg0/web'/><target dev='vda'/></disk>") == "no file");
  CHECK(stays(disk("vda", ""), {"/srv"}) == "on shared storage");
  CHECK(stays(disk("vda", ""), {"/srv/other"}).empty());
}

TEST_CASE("a copied disk has the path and format of the XML and the size of the description") {
  const auto copied = copied_disks(data("domain.xml"), {{"vda", kSize, ""}, {"sda", {}, "shareable"}});
  REQUIRE(copied);
  REQUIRE(copied->size() == 1);
  CHECK(copied->front().target == "vda");
  CHECK(copied->front().path == "/srv/vmsec/disks/web-a.qcow2");
  CHECK(copied->front().format == "qcow2");
  CHECK(copied->front().capacity == kSize);
}

TEST_CASE("what a description may not have copied is refused") {
  const std::string xml = data("domain.xml");
  CHECK(has(refusal(xml, {{"vdz", kSize, ""}}), "has none of this name"));
  CHECK(has(refusal(xml, {{"", kSize, ""}}), "has none of this name"));
  CHECK(has(refusal(xml, {{"sda", kSize, ""}}), "shareable"));
  CHECK(has(refusal(xml, {{"hdc", kSize, ""}}), "removable"));
  CHECK(has(refusal(xml, {{"vda", kSize, ""}, {"vda", kSize, ""}}), "named twice"));
  CHECK(has(refusal(domain(disk("vda", "<readonly/>")), {{"vda", kSize, ""}}), "read-only"));
  CHECK(has(
      refusal(domain(disk("vda", "") + disk("vdb", "") + disk("vda", "")), {{"vda", kSize, ""}, {"vda", kSize, ""}}),
      "named twice"));
}

TEST_CASE("a size that no disk has is refused") {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{511}, std::uint64_t{1} << 60, ~std::uint64_t{0}})
    CHECK(has(refusal(data("domain.xml"), {{"vda", {size}, ""}}), "no disk's size"));
}

TEST_CASE("an image that does not stand alone is not copied") {
  const std::string chain =
      "<backingStore type='file'><format type='qcow2'/><source file='/srv/base.qcow2'/><backingStore/></backingStore>";
  const auto copied = copied_disks(domain(disk("vda", chain)), {{"vda", kSize, ""}});
  REQUIRE_FALSE(copied);
  CHECK(copied.error().code == Code::unsupported);
  CHECK(has(copied.error().message, "backing file"));
  CHECK(copied_disks(domain(disk("vda", "<backingStore/>")), {{"vda", kSize, ""}}));
}

TEST_CASE("a path that is no plain one is not copied to") {
  for (const std::string path : {"srv/a.img", "/srv/../etc/a.img", "/srv//a.img", "/srv/a.img/", "/srv/a&#10;b.img"}) {
    const std::string xml = domain("<disk type='file'><driver type='raw'/><source file='" + path +
                                   "'/><target dev='vda'/><backingStore/></disk>");
    CHECK(has(refusal(xml, {{"vda", kSize, ""}}), "not a plain absolute path"));
  }
}

TEST_CASE("a format that cannot be checked is not copied") {
  const std::string xml =
      domain("<disk type='file'><driver type='vmdk'/><source file='/srv/a'/><target dev='vda'/><backingStore/></disk>");
  CHECK(has(refusal(xml, {{"vda", kSize, ""}}), "vmdk"));
}
