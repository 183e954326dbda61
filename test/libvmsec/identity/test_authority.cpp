#include <sys/stat.h>

#include <thread>

#include "libvmsec/identity/craft.hpp"

namespace vmsec::test {
namespace {

mode_t mode_of(const fs::path& file) {
  struct stat info{};
  REQUIRE(::stat(file.c_str(), &info) == 0);
  return info.st_mode & 0777;
}

}  // namespace

TEST_CASE("a host name is short, lower case and safe as a file name") {
  for (const char* name : {"a", "web-1", "rack-2.zone-b", "0", "a.b.c"}) CHECK(check_host_name(name));
  for (const std::string& name :
       {std::string(), std::string("Web"), std::string("a..b"), std::string(".a"), std::string("a."), std::string("-a"),
        std::string("a-"), std::string("a-.b"), std::string("a/b"), std::string("../ca"), std::string("a b"),
        std::string("a\0b", 3), std::string("*"), std::string("a_b"), std::string("\xc3\xa4"), std::string(64, 'a')}) {
    INFO(name);
    CHECK(code_of(check_host_name(name)) == Code::invalid_argument);
  }
}

TEST_CASE("private keys are readable by their owner only, and nothing is ever overwritten") {
  const KeyType type = GENERATE(KeyType::ecdsa_p256, KeyType::ed25519);
  Cloud cloud(type);
  const HostFiles files = cloud.files("web-1");
  CHECK(mode_of(files.key) == 0600);
  CHECK(mode_of(cloud.dir.path() / "ca" / "ca.key") == 0600);
  CHECK(mode_of(cloud.dir.path() / "placement.key") == 0600);

  const std::string key = slurp(files.key);
  CHECK(code_of(cloud.authority.issue("web-1", {365, files.key.parent_path(), type})) == Code::already_exists);
  CHECK(slurp(files.key) == key);
  CHECK(code_of(CertificateAuthority::init(cloud.dir.path() / "ca", "again")) == Code::already_exists);
  CHECK(code_of(PlacementKey::create(cloud.dir.path() / "placement.key")) == Code::already_exists);
}

TEST_CASE("a private key that others may read is refused") {
  Cloud cloud;
  const HostFiles files = cloud.files("web-1");
  REQUIRE(::chmod(files.key.c_str(), 0640) == 0);
  CHECK(code_of(HostIdentity::load(files, cloud.clock.clock())) == Code::denied);
  REQUIRE(::chmod((cloud.dir.path() / "ca" / "ca.key").c_str(), 0644) == 0);
  CHECK(code_of(CertificateAuthority::open(cloud.dir.path() / "ca", cloud.clock.clock())) == Code::denied);
}

TEST_CASE("issue refuses impossible names and lifetimes, and writes nothing then") {
  Cloud cloud;
  const fs::path out = cloud.dir.path() / "out";
  fs::create_directory(out);
  CHECK(code_of(cloud.authority.issue("../evil", {1, out})) == Code::invalid_argument);
  CHECK(code_of(cloud.authority.issue("web-1", {0, out})) == Code::invalid_argument);
  CHECK(code_of(cloud.authority.issue("web-1", {4000, out})) == Code::invalid_argument);
  CHECK(fs::is_empty(out));
  CHECK(good(cloud.authority.list()).empty());
  std::ofstream(cloud.dir.path() / "file") << "no folder";
  CHECK(code_of(cloud.authority.issue("web-1", {1, cloud.dir.path() / "file" / "below"})) == Code::io);
  CHECK(good(cloud.authority.list()).empty());
}

TEST_CASE("no certificate outlives its authority, and an authority that has ended opens no more") {
  Cloud cloud;
  const UnixSeconds end{cloud.clock.now().value + 3650ull * 86400};
  cloud.clock.advance(3000ll * 86400);
  cloud.files("web-1", 3650);
  CHECK(good(cloud.authority.list()).at(0).not_after == end);
  cloud.clock.advance(651ll * 86400);
  CHECK(code_of(CertificateAuthority::open(cloud.dir.path() / "ca", cloud.clock.clock())) == Code::expired);
}

TEST_CASE("the register lists what was issued and what was revoked, also after reopening") {
  Cloud cloud;
  cloud.files("web-2");
  cloud.files("web-1");
  const auto revoked = good(cloud.authority.revoke("web-2"));
  REQUIRE(revoked.size() == 1);
  auto again = good(CertificateAuthority::open(cloud.dir.path() / "ca", cloud.clock.clock()));
  CHECK(again.name() == "test cloud");
  const auto list = good(again.list());
  REQUIRE(list.size() == 2);
  CHECK(list[0].host == "web-1");
  CHECK_FALSE(list[0].revoked);
  CHECK(list[0].serial.size() == 32);
  CHECK(list[1].revoked == cloud.clock.now());
  CHECK(list[1].serial == revoked[0].serial);
  CHECK(code_of(again.revoke("web-2")) == Code::wrong_state);
  CHECK(code_of(again.revoke("web-3")) == Code::not_found);
  CHECK(good(again.revoke(list[0].serial)).size() == 1);
}

TEST_CASE("an authority with another's key, or a damaged register, does not open or sign") {
  Cloud cloud;
  Cloud other;
  fs::copy_file(other.dir.path() / "ca/ca.key", cloud.dir.path() / "ca/ca.key", fs::copy_options::overwrite_existing);
  CHECK(code_of(CertificateAuthority::open(cloud.dir.path() / "ca", cloud.clock.clock())) == Code::invalid_argument);
  spit(other.dir.path() / "ca/crl.number", "-1\n");
  CHECK(code_of(other.authority.publish_crl()) == Code::tampered);
}

TEST_CASE("threads that publish at once get numbers of their own") {
  Cloud cloud;
  std::vector<std::uint64_t> numbers(8);
  {
    std::vector<std::jthread> threads;
    for (auto& number : numbers) threads.emplace_back([&] { number = cloud.authority.publish_crl().value_or(0); });
  }
  std::sort(numbers.begin(), numbers.end());
  for (std::size_t i = 0; i < numbers.size(); ++i) CHECK(numbers[i] == i + 2);  // init() published the first
}

}  // namespace vmsec::test
