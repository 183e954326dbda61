#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "domain_images.hpp"
#include "image_header.hpp"
#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;
namespace fs = std::filesystem;

namespace {

// Big-endian.
std::string number(std::uint64_t value, int size) {
  std::string bytes;
  for (int i = size - 1; i >= 0; --i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

struct Qcow2 {
  std::uint32_t version = 3;
  std::uint64_t features = 0;
  std::string backing = {};
  std::uint32_t cluster_bits = 16;
  std::uint64_t backing_offset = 200;
};

std::string image(const Qcow2& made) {
  const bool has_backing = !made.backing.empty();
  std::string bytes = "QFI\xfb" + number(made.version, 4) + number(has_backing ? made.backing_offset : 0, 8) +
                      number(made.backing.size(), 4) + number(made.cluster_bits, 4);
  bytes.resize(72, '\0');
  bytes += number(made.features, 8);
  bytes.resize(200, '\0');
  return bytes + made.backing;
}

class Folder {
 public:
  Folder() : path(fs::temp_directory_path() / ("vmsec-images-" + std::to_string(::getpid()))) {
    fs::create_directories(path);
    policy = *IncomingPolicy::from_settings({{"incoming.disk_roots", path.string()}});
  }
  ~Folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& bytes) const { std::ofstream(path / name) << bytes; }
  [[nodiscard]] std::string at(const std::string& name) const { return (path / name).string(); }

  // What check_images() says of a domain with this disk.
  [[nodiscard]] std::string check(const std::string& disk) const {
    const auto checked = check_images(policy, expected_domain(),
                                      "<domain><devices><disk type='file'>" + disk + "</disk></devices></domain>");
    if (!checked) CHECK(checked.error().code == Code::denied);
    return checked ? "accepted" : checked.error().message;
  }
  [[nodiscard]] std::string check_top(const std::string& format, const std::string& below = "<backingStore/>") const {
    return check("<driver type='" + format + "'/><source file='" + at("a") + "'/>" + below);
  }
  [[nodiscard]] std::string link(const std::string& file, const std::string& format = "qcow2") const {
    return "<backingStore type='file'><format type='" + format + "'/><source file='" + file +
           "'/><backingStore/></backingStore>";
  }

  fs::path path;
  IncomingPolicy policy;
};

bool says(const std::string& message, const std::string& part) {
  INFO(message);
  const bool found = message.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

}  // namespace

TEST_CASE("images that open nothing but themselves are accepted") {
  const Folder folder;
  folder.write("a", image({}));
  CHECK(folder.check_top("qcow2") == "accepted");
  folder.write("a", image({.version = 2, .features = 4}));  // bytes that version 2 has no meaning for
  CHECK(folder.check_top("qcow2") == "accepted");
  folder.write("a", image({.features = 1 | 8 | 16}));
  CHECK(folder.check_top("qcow2") == "accepted");
  // To QEMU, raw has no header: these are the guest's own bytes.
  folder.write("a", image({.features = 4, .backing = "/etc/shadow"}));
  CHECK(folder.check_top("raw") == "accepted");
  CHECK(folder.check("<target dev='hdc'/>") == "accepted");
}

TEST_CASE("an image with an external data file is refused, at each place of a chain") {
  const Folder folder;
  folder.write("a", image({.features = 4}));
  says(folder.check_top("qcow2"), "names an external data file");
  folder.write("a", image({.backing = "b"}));
  folder.write("b", image({.features = 4}));
  says(folder.check_top("qcow2", folder.link(folder.at("b"))), "names an external data file");
}

TEST_CASE("an image whose header names a file that the XML does not is refused") {
  const Folder folder;
  folder.write("a", image({.backing = "/etc/shadow"}));
  folder.write("b", image({}));
  says(folder.check_top("qcow2"), "\"/etc/shadow\", the XML none");
  says(folder.check_top("qcow2", folder.link(folder.at("b"))), "names the backing file \"/etc/shadow\"");
  for (const std::string name : {"json:{\"driver\":\"nbd\"}", "nbd://198.51.100.7/x", "file:/etc/shadow"}) {
    folder.write("a", image({.backing = name}));
    says(folder.check_top("qcow2", folder.link(folder.at("b"))), "no plain path");
  }
  folder.write("a", image({.backing = std::string("b\0c", 3)}));
  says(folder.check_top("qcow2", folder.link(folder.at("b"))), "a NUL in");
  folder.write("a", image({.backing = "../b"}));
  says(folder.check_top("qcow2", folder.link(folder.at("b"))), "names the backing file");
  SECTION("and one that names the same is accepted, as a whole path or beside the image") {
    for (const std::string& name : {folder.at("b"), std::string("b"), std::string("./b")}) {
      folder.write("a", image({.backing = name}));
      CHECK(folder.check_top("qcow2", folder.link(folder.at("b"))) == "accepted");
    }
  }
}

TEST_CASE("an image that is not what the XML says, or cannot be looked at, is refused") {
  const Folder folder;
  says(folder.check_top("raw"), "is not there");
  folder.write("a", "raw bytes, and enough of them that a header could be read from here: nothing of qcow2, though");
  says(folder.check_top("qcow2"), "not that of a qcow2 image");
  says(folder.check_top("vmdk"), "which cannot be checked");
  says(folder.check("<source file='" + folder.at("a") + "'/><backingStore/>"), "which cannot be checked");
  says(folder.check_top("raw", folder.link(folder.at("a"), "raw")), "has a backing file");
  says(folder.check_top("raw", ""), "has no backingStore");
  says(folder.check_top("raw", "<backingStore type='file'><format type='raw'/><backingStore/></backingStore>"),
       "names no file");
  folder.write("a", image({.backing = "b"}));
  folder.write("b", "");
  says(folder.check_top("qcow2", folder.link(folder.at("b"))), "not that of a qcow2 image");
  CHECK(folder.check_top("qcow2", folder.link(folder.at("b"), "raw")) == "accepted");
  says(folder.check("<driver type='raw'/><source file='/etc/hostname'/><backingStore/>"),
       "none of the allowed folders");
  fs::create_symlink("b", folder.path / "link");
  says(folder.check("<driver type='raw'/><source file='" + folder.at("link") + "'/><backingStore/>"),
       "is a symbolic link");
}

TEST_CASE("a header that makes no sense is refused with its cause") {
  const auto refused = [](const std::string& bytes, const std::string& cause) {
    const auto parsed = parse_qcow2_header(bytes);
    REQUIRE_FALSE(parsed);
    says(parsed.error().message, cause);
  };
  refused("", "not that of a qcow2 image");
  refused(image({.version = 4}), "is of version 4");
  refused(image({.version = 1}), "is of version 1");
  refused(image({.features = 32}), "not known here");
  refused(image({.features = std::uint64_t{1} << 63}), "not known here");
  refused(image({.cluster_bits = 8}), "no sensible cluster size");
  refused(image({.cluster_bits = 64}), "no sensible cluster size");
  refused(image({.backing = std::string(1024, 'x')}), "outside of its first cluster");
  refused(image({.backing = "b", .cluster_bits = 9, .backing_offset = 512}), "outside of its first cluster");
  refused(image({.backing = std::string(1023, 'b'), .cluster_bits = 9}), "outside of its first cluster");
  refused(image({.backing = "b", .backing_offset = ~std::uint64_t{0}}), "outside of its first cluster");
  const std::string whole = image({}).substr(0, 80);
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(parse_qcow2_header(whole.substr(0, size)));
  CHECK(parse_qcow2_header(whole));
}

TEST_CASE("an image that ends within its backing file's name is refused") {
  const Folder folder;
  folder.write("a", image({.backing = "base.qcow2"}).substr(0, 203));
  says(folder.check_top("qcow2", folder.link(folder.at("base.qcow2"))), "ends within");
}
