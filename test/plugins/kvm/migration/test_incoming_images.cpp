#include "incoming_images.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>
#include <tuple>

#include "image_header.hpp"
#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSize = 3 << 20;

class Host {
 public:
  Host() : root(fs::temp_directory_path() / ("vmsec-incoming-" + std::to_string(::getpid()))) {
    fs::remove_all(root);
    fs::create_directories(root / "images" / "tenant");
    fs::create_directories(root / "state");
  }
  ~Host() { fs::remove_all(root); }
  [[nodiscard]] IncomingImages images(const std::string& id = "11111111-2222-4333-8444-555555555555") const {
    return {(root / "state").string(), {(root / "images").string()}, *Uuid::parse(id)};
  }
  [[nodiscard]] CopiedDisk disk(const std::string& name, const std::string& format = "raw") const {
    return {"vda", (root / "images" / name).string(), format, {kSize}};
  }
  [[nodiscard]] static IncomingImages::Owner owner() { return {::geteuid(), ::getegid()}; }
  [[nodiscard]] Status create(const std::vector<CopiedDisk>& disks) const { return images().create(disks, owner()); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(root / name) << text; }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(root / name);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  // All that there is, folders left out.
  [[nodiscard]] std::size_t files() const {
    std::size_t count = 0;
    for (const auto& each : fs::recursive_directory_iterator(root)) count += each.is_directory() ? 0 : 1;
    return count;
  }

  fs::path root;
};

void check_refused(const Status& made, Code code, const std::string& cause) {
  REQUIRE_FALSE(made);
  INFO(made.error().message);
  CHECK(made.error().code == code);
  CHECK(made.error().message.find(cause) != std::string::npos);
}

}  // namespace

TEST_CASE("an image is made of just the size and format that were described, and is nobody else's") {
  const Host host;
  REQUIRE(host.create({host.disk("a.img")}));
  CHECK(fs::file_size(host.root / "images/a.img") == kSize);
  struct stat status{};
  REQUIRE(::stat((host.root / "images/a.img").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0600);
  CHECK(status.st_blocks == 0);
  REQUIRE(host.images().discard());
  CHECK(host.files() == 0);
}

TEST_CASE("a qcow2 image is one, with a size for the guest and without a backing file") {
  if (!fs::exists("/usr/bin/qemu-img")) {
    WARN("SKIPPED: qemu-img is missing");
    return;
  }
  const Host host;
  REQUIRE(host.create({host.disk("tenant/a.qcow2", "qcow2")}));
  const std::string bytes = host.read("images/tenant/a.qcow2");
  const auto backing = parse_qcow2_header(std::string_view(bytes).substr(0, kImageHeaderSize));
  REQUIRE(backing);
  CHECK(backing->size == 0);
  std::uint64_t size = 0;
  for (std::size_t i = 24; i < 32; ++i) size = size << 8 | static_cast<unsigned char>(bytes.at(i));
  CHECK(size == kSize);
  REQUIRE(host.images().discard());
  CHECK(host.files() == 0);
}

TEST_CASE("what is there already is neither written over nor removed") {
  const Host host;
  host.write("images/a.img", "precious");
  check_refused(host.create({host.disk("a.img")}), Code::already_exists, "a.img");
  CHECK(host.read("images/a.img") == "precious");
  CHECK(host.files() == 1);

  SECTION("nor is it when it is the second of two") {
    check_refused(host.create({host.disk("b.img"), host.disk("a.img")}), Code::already_exists, "a.img");
    CHECK(host.read("images/a.img") == "precious");
    CHECK(host.files() == 1);
  }
}

TEST_CASE("a symbolic link is not followed, wherever it stands") {
  const Host host;
  host.write("outside", "precious");
  fs::create_symlink(host.root / "outside", host.root / "images/a.img");
  check_refused(host.create({host.disk("a.img")}), Code::already_exists, "something is there");
  fs::create_symlink(host.root / "nowhere", host.root / "images/b.img");
  check_refused(host.create({host.disk("b.img")}), Code::already_exists, "something is there");
  CHECK_FALSE(fs::exists(host.root / "nowhere"));
  fs::create_directory_symlink(host.root, host.root / "images/out");
  check_refused(host.create({host.disk("out/c.img")}), Code::denied, "a symbolic link");
  CHECK_FALSE(fs::exists(host.root / "c.img"));
  CHECK(host.read("outside") == "precious");
  // Nor by the name that is the migration's own.
  fs::create_symlink(host.root / "outside", host.root / "images/d.img.vmsec-11111111222243338444555555555555");
  CHECK_FALSE(host.create({host.disk("d.img")}));
  CHECK(host.read("outside") == "precious");
}

TEST_CASE("images are made below the allowed folders and nowhere else") {
  const Host host;
  const auto at = [&](const std::string& path) { return host.create({{"vda", path, "raw", {kSize}}}); };
  check_refused(at((host.root / "other.img").string()), Code::denied, "below none");
  check_refused(at((host.root / "images").string()), Code::denied, "below none");
  check_refused(at((host.root / "images-of-others/a.img").string()), Code::denied, "below none");
  check_refused(at((host.root / "images").string() + "/../other.img"), Code::denied, "plain");
  check_refused(at("/etc/a.img"), Code::denied, "below none");
  check_refused(at((host.root / "images/missing/a.img").string()), Code::not_found, "folder is not there");
  check_refused(at((host.root / "images" / std::string(250, 'x')).string()), Code::invalid_argument, "too long");
  const IncomingImages nowhere((host.root / "state").string(), {},
                               *Uuid::parse("11111111-2222-4333-8444-555555555555"));
  check_refused(nowhere.create({host.disk("a.img")}, Host::owner()), Code::denied, "below none");
  CHECK(host.files() == 0);
}

TEST_CASE("a disk that has no room is refused before anything is made") {
  const Host host;
  CopiedDisk huge = host.disk("a.img");
  huge.capacity = {std::uint64_t{1} << 50};
  check_refused(host.create({host.disk("b.img"), huge}), Code::limit_exceeded, "free");
  CHECK(host.files() == 0);
}

TEST_CASE("after a restart the note tells which images were made") {
  const Host host;
  REQUIRE(host.create({host.disk("a.img"), host.disk("tenant/b.img")}));
  host.write("images/c.img", "another's");
  REQUIRE(host.images().discard());  // an object of its own, as a new process would have
  CHECK(host.files() == 1);
  CHECK(host.read("images/c.img") == "another's");
  REQUIRE(host.images().discard());
}

TEST_CASE("a file that took an image's place is not removed with it") {
  const Host host;
  REQUIRE(host.create({host.disk("a.img")}));
  fs::remove(host.root / "images/a.img");
  host.write("images/a.img", "restored by hand");
  REQUIRE(host.images().discard());
  CHECK(host.read("images/a.img") == "restored by hand");
  CHECK(host.files() == 1);
}

TEST_CASE("an image that was kept is the domain's, whoever discards later") {
  const Host host;
  REQUIRE(host.create({host.disk("a.img")}));
  REQUIRE(host.images().keep());
  REQUIRE(host.images().keep());
  CHECK(host.files() == 1);
  REQUIRE(host.images().discard());
  CHECK(fs::file_size(host.root / "images/a.img") == kSize);
}

TEST_CASE("a migration removes its own images and no other migration's") {
  const Host host;
  REQUIRE(host.create({host.disk("a.img")}));
  const auto other = host.images("99999999-2222-4333-8444-555555555555");
  REQUIRE(other.discard());
  REQUIRE(other.keep());
  CHECK(fs::exists(host.root / "images/a.img"));
  CHECK_FALSE(other.create({host.disk("a.img")}, Host::owner()));
  CHECK(fs::file_size(host.root / "images/a.img") == kSize);
  REQUIRE(host.images().discard());
  CHECK(host.files() == 0);
}

TEST_CASE("a crash between the note and the images leaves nothing to remove") {
  const Host host;
  host.write("images/a.img", "another's");
  struct stat folder{};
  REQUIRE(::stat((host.root / "images").c_str(), &folder) == 0);
  host.write("state/images-11111111-2222-4333-8444-555555555555",
             std::to_string(folder.st_ino) + " " + (host.root / "images/a.img").string() + "\n");
  REQUIRE(host.images().discard());
  CHECK(host.read("images/a.img") == "another's");
  CHECK(host.files() == 1);
}

TEST_CASE("an image whose folder is not mounted just now is removed when it is there again") {
  const Host host;
  REQUIRE(host.create({host.disk("tenant/a.img")}));
  fs::rename(host.root / "images/tenant", host.root / "elsewhere");
  check_refused(host.images().discard(), Code::unavailable, "mount it");
  fs::create_directory(host.root / "images/tenant");  // an empty mount point
  check_refused(host.images().discard(), Code::unavailable, "mount it");
  CHECK(fs::exists(host.root / "elsewhere/a.img"));
  fs::remove(host.root / "images/tenant");
  fs::rename(host.root / "elsewhere", host.root / "images/tenant");
  REQUIRE(host.images().discard());
  CHECK(host.files() == 0);
}

TEST_CASE("what a migration that is over could not remove is removed later") {
  const Host host;
  const std::vector<std::string> roots{(host.root / "images").string()};
  REQUIRE(host.create({host.disk("tenant/a.img")}));
  const auto other = host.images("99999999-2222-4333-8444-555555555555");
  REQUIRE(other.create({host.disk("b.img")}, Host::owner()));
  fs::rename(host.root / "images/tenant", host.root / "elsewhere");
  CHECK_FALSE(host.images().abandon());
  IncomingImages::sweep((host.root / "state").string(), roots);
  CHECK(fs::exists(host.root / "elsewhere/a.img"));
  fs::rename(host.root / "elsewhere", host.root / "images/tenant");
  IncomingImages::sweep((host.root / "state").string(), roots);
  CHECK_FALSE(fs::exists(host.root / "images/tenant/a.img"));
  // The other migration is under way.
  CHECK(fs::exists(host.root / "images/b.img"));
  REQUIRE(other.discard());
  CHECK(host.files() == 0);
}

TEST_CASE("a note that is not what was written removes nothing") {
  const Host host;
  REQUIRE(host.create({host.disk("a.img")}));
  for (const char* note : {"", "x", "/etc/passwd\n", "12 \n", "\n"}) {
    host.write("state/images-11111111-2222-4333-8444-555555555555", note);
    CAPTURE(note);
    CHECK_FALSE(host.images().discard());
    CHECK(fs::exists(host.root / "images/a.img"));
  }
}

// Whoever may write the folder puts a link in the image's place, again and again.
TEST_CASE("while an image is made its name leads nowhere else") {
  if (!fs::exists("/usr/bin/qemu-img")) {
    WARN("SKIPPED: qemu-img is missing");
    return;
  }
  const Host host;
  host.write("outside", "precious");
  const fs::path own = host.root / "images/a.img.vmsec-11111111222243338444555555555555";
  const fs::path link = host.root / "link";
  std::atomic<bool> over = false;
  std::atomic<unsigned> swaps = 0;
  std::thread attacker([&] {
    while (!over) {
      std::error_code failed;
      fs::create_symlink(host.root / "outside", link, failed);
      if (fs::exists(fs::symlink_status(own)) && ::rename(link.c_str(), own.c_str()) == 0) ++swaps;
    }
  });
  for (int round = 0; round < 2000 && (round < 20 || swaps < 10); ++round) {
    std::ignore = host.create({host.disk("a.img", round % 2 == 0 ? "qcow2" : "raw")});
    std::ignore = host.images().discard();
    std::error_code failed;
    fs::remove(host.root / "images/a.img", failed);
    fs::remove(own, failed);
  }
  over = true;
  attacker.join();
  CHECK(swaps >= 10);
  CHECK(host.read("outside") == "precious");
}
