// vmsec migrate, between two hosts on the simulated hypervisor.
#include <catch2/catch.hpp>

#include "tools/two_hosts.hpp"

using namespace vmsec::test;

TEST_CASE("migrate status without an id shows the latest, and what came in has a beginning too") {
  TwoHosts hosts;
  hosts.start();
  const std::string spent = hosts.ticket();
  REQUIRE(hosts.text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", spent}).code == 0);
  const auto received = hosts.json("host-b", {"migrate", "status"});
  CHECK(received["outgoing"] == false);
  CHECK_FALSE(received["started"].is_null());
  CHECK(received["started"] != 0);
  CHECK(hosts.text("host-b", {"migrate", "list"}).out.find("1970") == std::string::npos);
}

TEST_CASE("of migrations that began in the same second, the last is the latest") {
  TwoHosts hosts;
  hosts.start();
  const std::string ticket = hosts.ticket();
  // Refused at once: the cipher, before the ticket is looked at.
  REQUIRE(hosts.text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", ticket, "--cipher", "none"}).code ==
          3);
  REQUIRE(hosts.text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", ticket}).code == 0);
  const auto latest = hosts.json("host-a", {"migrate", "status"});
  CHECK(latest["state"] == "completed");
  const auto list = hosts.json("host-a", {"migrate", "list"})["migrations"];
  REQUIRE(list.size() == 2);
  CHECK(list[1]["migration"] == latest["migration"]);

  // After a restart it is the records that tell.
  hosts.kill("host-a");
  hosts.start("host-a");
  CHECK(hosts.json("host-a", {"migrate", "status"})["migration"] == latest["migration"]);
  const Ran shown = hosts.text("host-a", {"migrate", "list"});
  INFO(shown.out);
  CHECK(shown.out.find("0 B") == std::string::npos);  // not kept: so not known, not zero
}
