#include <thread>

#include "libvmsec/identity/craft.hpp"

namespace vmsec::test {

TEST_CASE("a revoked peer is refused as soon as the list is there, without a restart") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const auto chain = chain_of(cloud.files("web-2").certificate);
  CHECK(code_of(host.verify_peer(chain)) == Code::ok);
  good(cloud.authority.revoke("web-2"));
  CHECK(code_of(host.verify_peer(chain)) == Code::ok);  // not published yet
  CHECK(good(cloud.authority.publish_crl()) == 2);
  const auto refused = host.verify_peer(chain);
  CHECK(code_of(refused) == Code::unauthenticated);
  CHECK_THAT(message_of(refused), Catch::Contains("\"web-2\": it was revoked"));
  const auto state = good(host.check_crl());
  CHECK(state.number == 2);
  CHECK(state.revoked == 1);
}

TEST_CASE("a stale revocation list refuses everybody") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const auto chain = chain_of(cloud.files("web-2").certificate);
  good(cloud.authority.publish_crl(3600));
  cloud.clock.advance(3599);
  CHECK(code_of(host.verify_peer(chain)) == Code::ok);
  cloud.clock.advance(1);
  const auto stale = host.verify_peer(chain);
  CHECK(code_of(stale) == Code::expired);
  CHECK_THAT(message_of(stale), Catch::Contains("stale"));
  good(cloud.authority.publish_crl(3600));
  CHECK(code_of(host.verify_peer(chain)) == Code::ok);
}

TEST_CASE("for whoever is not of our authority the revocation list is not even read") {
  Cloud cloud;
  Cloud other;
  const HostIdentity host = cloud.host("web-1");
  const auto stranger = chain_of(other.files("web-2").certificate);
  fs::remove(cloud.authority.crl_file());
  CHECK(code_of(host.verify_peer(stranger)) == Code::unauthenticated);
  CHECK(code_of(host.verify_peer(chain_of(cloud.files("web-2").certificate))) == Code::expired);
}

TEST_CASE("a list that lies there for a while is believed as it was read, and each other one is read anew") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const auto chain = chain_of(cloud.files("web-2").certificate);
  // The file's age decides whether it is kept: both ways must answer the same.
  const bool old = GENERATE(false, true);
  if (old) std::this_thread::sleep_for(std::chrono::milliseconds(3100));
  for (int i = 0; i < 3; ++i) CHECK(code_of(host.verify_peer(chain)) == Code::ok);
  cloud.clock.advance(8 * 86400);
  CHECK(code_of(host.verify_peer(chain)) == Code::expired);
  good(cloud.authority.revoke("web-2"));
  good(cloud.authority.publish_crl());
  CHECK_THAT(message_of(host.verify_peer(chain)), Catch::Contains("revoked"));
  const std::string list = slurp(cloud.authority.crl_file());
  spit(cloud.authority.crl_file(), list.substr(0, list.size() / 2));
  CHECK(code_of(host.verify_peer(chain)) == Code::tampered);
}

TEST_CASE("a missing revocation list refuses everybody, and so does one from the future") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const auto chain = chain_of(cloud.files("web-2").certificate);
  cloud.clock.advance(86400);
  good(cloud.authority.publish_crl());
  cloud.clock.advance(-86400);
  CHECK(code_of(host.verify_peer(chain)) == Code::expired);
  fs::remove(cloud.authority.crl_file());
  CHECK(code_of(host.verify_peer(chain)) == Code::expired);
}

TEST_CASE("a revocation list that is rolled back is refused, also after a restart") {
  Cloud cloud;
  const auto chain = chain_of(cloud.files("web-2").certificate);
  const std::string old = slurp(cloud.authority.crl_file());
  good(cloud.authority.revoke("web-2"));
  good(cloud.authority.publish_crl());
  CHECK(code_of(cloud.host("web-1").verify_peer(chain)) == Code::unauthenticated);
  spit(cloud.authority.crl_file(), old);
  const auto refused = cloud.host("web-1").verify_peer(chain);
  CHECK(code_of(refused) == Code::tampered);
  CHECK_THAT(message_of(refused), Catch::Contains("number 1 is lower than 2"));
}

TEST_CASE("a second list of the same number is refused: the authority was set back") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  good(host.check_crl());
  spit(cloud.dir.path() / "ca/crl.number", "0\n");
  cloud.clock.advance(1);
  CHECK(good(cloud.authority.publish_crl()) == 1);
  CHECK(code_of(host.check_crl()) == Code::tampered);
}

TEST_CASE("a stale list's number counts") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  const std::string old = slurp(cloud.authority.crl_file());
  good(cloud.authority.publish_crl(60));
  cloud.clock.advance(61);
  CHECK(code_of(host.check_crl()) == Code::expired);
  spit(cloud.authority.crl_file(), old);
  CHECK(code_of(host.check_crl()) == Code::tampered);
}

TEST_CASE("a changed or foreign revocation list is refused") {
  Cloud cloud;
  Cloud other;
  const HostIdentity host = cloud.host("web-1");
  const std::string pem = slurp(cloud.authority.crl_file());
  spit(cloud.authority.crl_file(), slurp(other.authority.crl_file()));
  CHECK(code_of(host.check_crl()) == Code::tampered);
  spit(cloud.authority.crl_file(), "");
  CHECK(code_of(host.check_crl()) == Code::tampered);
  for (std::size_t at = 40; at < pem.size() - 40; at += 5) {
    std::string changed = pem;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    if (changed == pem) continue;
    spit(cloud.authority.crl_file(), changed);
    CHECK(code_of(host.check_crl()) == Code::tampered);
  }
  spit(cloud.authority.crl_file(), pem);
  CHECK(code_of(host.check_crl()) == Code::ok);
}

TEST_CASE("a damaged memory of the highest number refuses") {
  Cloud cloud;
  const HostIdentity host = cloud.host("web-1");
  good(host.check_crl());
  for (const auto& entry : fs::directory_iterator(host.files().state_dir)) {
    if (entry.path().extension() == ".lock") continue;
    for (const char* text : {"", "0", "1 \n", "x 00\n", "99999999999999999999 00\n"}) {
      spit(entry.path(), text);
      CHECK(code_of(host.check_crl()) == Code::tampered);
    }
  }
}

TEST_CASE("lists are neither momentary nor eternal") {
  Cloud cloud;
  CHECK(code_of(cloud.authority.publish_crl(59)) == Code::invalid_argument);
  CHECK(code_of(cloud.authority.publish_crl(367ull * 86400)) == Code::invalid_argument);
}

}  // namespace vmsec::test
