#include "libvmsec/identity/craft.hpp"

namespace vmsec::test {

TEST_CASE("a host knows itself by its certificate") {
  const KeyType type = GENERATE(KeyType::ecdsa_p256, KeyType::ed25519);
  Cloud cloud(type);
  const HostIdentity host = cloud.host("web-1");
  CHECK(host.name() == "web-1");
  CHECK(host.key_digest() == good(PublicKey::load(host.files().certificate)).digest());
  CHECK(host.key_digest().size() == 32);
  const PeerIdentity peer = good(host.verify_peer(chain_of(cloud.files("web-2").certificate)));
  CHECK(peer.name == "web-2");
  CHECK(peer.key_digest == cloud.host("web-2").key_digest());
  CHECK(peer.certificate_digest == cloud.host("web-2").certificate_digest());
}

TEST_CASE("files that do not belong together are no identity") {
  Cloud cloud;
  Cloud other;
  const HostFiles good_files = cloud.files("web-1");
  const auto load = [&](auto change) {
    HostFiles files = good_files;
    change(files);
    return code_of(HostIdentity::load(files, cloud.clock.clock()));
  };
  CHECK(load([](HostFiles&) {}) == Code::ok);
  CHECK(load([&](HostFiles& f) { f.key = cloud.files("web-2").key; }) == Code::invalid_argument);
  CHECK(load([&](HostFiles& f) { f.authority = other.authority.certificate_file(); }) == Code::unauthenticated);
  CHECK(load([&](HostFiles& f) { f.authority = f.certificate; }) == Code::invalid_argument);
  CHECK(load([&](HostFiles& f) { f.certificate = f.key; }) == Code::invalid_argument);
  CHECK(load([&](HostFiles& f) { f.state_dir = "/nonexistent"; }) == Code::not_found);
  CHECK(load([&](HostFiles& f) { f.key = cloud.dir.path(); }) != Code::ok);
  CHECK(load([&](HostFiles& f) { f.placement_keys = {"/dev/zero"}; }) == Code::invalid_argument);
  CHECK(load([&](HostFiles& f) { f.placement_keys = {cloud.dir.path() / "placement.key"}; }) == Code::invalid_argument);
}

TEST_CASE("a host's own key, or the authority's, is no placement key") {
  Cloud cloud;
  HostFiles files = cloud.files("web-1");
  files.placement_keys = {files.certificate};
  CHECK(code_of(HostIdentity::load(files, cloud.clock.clock())) == Code::denied);
  files.placement_keys = {files.authority};
  CHECK(code_of(HostIdentity::load(files, cloud.clock.clock())) == Code::denied);
}

TEST_CASE("a former certificate is this host's own by the same authority, expired and revoked or not") {
  Cloud cloud;
  Cloud other;
  const HostFiles former = cloud.files("web-1", 2);
  cloud.clock.advance(3 * 86400);
  good(cloud.authority.revoke("web-1"));
  const fs::path fresh = cloud.dir.path() / "fresh";
  fs::create_directory(fresh);
  const auto issued = good(cloud.authority.issue("web-1", {30, fresh}));
  const auto load = [&](const fs::path& file) {
    HostFiles files = former;
    files.certificate = issued.certificate;
    files.key = issued.key;
    files.former_certificates = {file};
    return HostIdentity::load(files, cloud.clock.clock());
  };
  const HostIdentity renewed = good(load(former.certificate));
  REQUIRE(renewed.former_keys().size() == 1);
  CHECK(renewed.former_keys()[0].digest() == good(PublicKey::load(former.certificate)).digest());
  CHECK(renewed.key_digest() != renewed.former_keys()[0].digest());
  CHECK(code_of(load(cloud.files("web-2").certificate)) == Code::denied);
  CHECK(code_of(load(other.files("web-1").certificate)) == Code::unauthenticated);
  CHECK(code_of(load(cloud.authority.certificate_file())) == Code::unauthenticated);
  CHECK(code_of(load(cloud.dir.path() / "placement.key.pub")) == Code::invalid_argument);
  CHECK(code_of(load(cloud.dir.path() / "none.crt")) == Code::not_found);
}

TEST_CASE("an expired certificate is no identity, nor is one from the future") {
  Cloud cloud;
  const HostFiles files = cloud.files("web-1", 2);
  cloud.clock.advance(3 * 86400);
  const auto expired = HostIdentity::load(files, cloud.clock.clock());
  CHECK(code_of(expired) == Code::expired);
  CHECK_THAT(message_of(expired), Catch::Contains("web-1.crt: it has expired"));
  cloud.clock.advance(-4 * 86400);
  CHECK(code_of(HostIdentity::load(files, cloud.clock.clock())) == Code::unauthenticated);
}

TEST_CASE("a peer of another authority is refused, even under the authority's name") {
  Cloud cloud;
  Cloud other;  // has the same name
  const auto refused = cloud.host("web-1").verify_peer(chain_of(other.files("web-2").certificate));
  CHECK(code_of(refused) == Code::unauthenticated);
  CHECK_THAT(message_of(refused), Catch::Contains("\"web-2\": it was signed by another authority"));
}

TEST_CASE("an expired peer is refused") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const auto chain = chain_of(cloud.files("web-2", 2).certificate);
  CHECK(code_of(host.verify_peer(chain)) == Code::ok);
  cloud.clock.advance(2 * 86400 + 1);
  const auto refused = host.verify_peer(chain);
  CHECK(code_of(refused) == Code::unauthenticated);
  CHECK_THAT(message_of(refused), Catch::Contains("it has expired"));
}

TEST_CASE("what the authority signed for another purpose is no host") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-9");
  const auto verdict = [&](const Wish& wish) { return code_of(host.verify_peer({der_of(craft(cloud, wish).get())})); };
  CHECK(verdict({}) == Code::ok);
  CHECK(verdict({.usage = "serverAuth"}) == Code::unauthenticated);
  CHECK(verdict({.usage = "clientAuth"}) == Code::unauthenticated);
  CHECK(verdict({.usage = ""}) == Code::unauthenticated);
  CHECK(verdict({.cn = "web-2"}) == Code::unauthenticated);
  CHECK(verdict({.san = ""}) == Code::unauthenticated);
  CHECK(verdict({.san = "DNS:web-1,DNS:web-2"}) == Code::unauthenticated);
  CHECK(verdict({.san = "IP:10.0.0.1"}) == Code::unauthenticated);
  CHECK(verdict({.cn = "*.cloud", .san = "DNS:*.cloud"}) == Code::unauthenticated);
  CHECK(verdict({.cn = "WEB-1", .san = "DNS:WEB-1"}) == Code::unauthenticated);
  CHECK(verdict({.constraints = "critical,CA:TRUE"}) == Code::unauthenticated);
  Wish weak;
  weak.key.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{2048}));
  CHECK(verdict(weak) == Code::unauthenticated);
  CHECK(code_of(host.verify_peer(chain_of(cloud.authority.certificate_file()))) == Code::unauthenticated);
}

TEST_CASE("bytes that are no certificate are refused") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const std::string der = chain_of(cloud.files("web-2").certificate).front();
  CHECK(code_of(host.verify_peer({})) == Code::unauthenticated);
  CHECK(code_of(host.verify_peer({""})) == Code::unauthenticated);
  CHECK(code_of(host.verify_peer({der + "x"})) == Code::unauthenticated);
  CHECK(code_of(host.verify_peer({der.substr(0, der.size() / 2)})) == Code::unauthenticated);
  for (std::size_t at = 0; at < der.size(); at += 7) {
    std::string changed = der;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    CHECK(code_of(host.verify_peer({changed})) == Code::unauthenticated);
  }
}

TEST_CASE("a host signs under its own labels only, and a signature fits nothing else") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const std::string signature = good(host.sign("vmsec test v1", "bytes"));
  CHECK(host.public_key().verify("vmsec test v1", "bytes", signature));
  CHECK(code_of(host.public_key().verify("vmsec test v2", "bytes", signature)) == Code::tampered);
  CHECK(code_of(host.public_key().verify("vmsec test v1", "byteS", signature)) == Code::tampered);
  CHECK(code_of(host.public_key().verify("vmsec test v1", "bytes", "")) == Code::tampered);
  CHECK(code_of(cloud.host("web-2").public_key().verify("vmsec test v1", "bytes", signature)) == Code::tampered);
  CHECK(code_of(host.sign(kTicketLabel, "bytes")) == Code::denied);
  CHECK(code_of(host.sign("TLS 1.3, server CertificateVerify", "bytes")) == Code::denied);
  CHECK(code_of(host.sign(std::string_view("vmsec a\0b", 9), "bytes")) == Code::denied);
}

}  // namespace vmsec::test
