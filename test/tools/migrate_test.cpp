// vmsec migrate, between two hosts on the simulated hypervisor.
#include <catch2/catch.hpp>

#include "migration_report.hpp"
#include "tools/two_hosts.hpp"

using namespace vmsec::test;

TEST_CASE("migrate status without an id shows the latest, and what came in has a beginning too") {
  TwoHosts hosts;
  hosts.start();
  const std::string spent = hosts.ticket();
  REQUIRE(hosts.text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", spent}).code == 0);
  const auto received = hosts.json("host-b", {"migrate", "status"});
  CHECK(received["outgoing"] == false);
  REQUIRE(received["started"].is_string());
  CHECK(received["started"].get<std::string>() > "2020");
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

TEST_CASE("a migration that fails says why and what to do on standard error, and prints no report of nothing") {
  TwoHosts hosts;
  hosts.start();
  const std::string ticket = hosts.ticket();
  const Ran none = hosts.text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", ticket, "--cipher", "none"});
  INFO(none.out << none.err);
  CHECK(none.code == 3);
  CHECK(none.out.empty());
  CHECK(none.err.find("vmsec: migrate web-1 to host-b: cipher none") != std::string::npos);
  CHECK(none.err.find("web-1 runs on at this host") != std::string::npos);
  CHECK(none.err.find("allow-none") != std::string::npos);
  CHECK(hosts.json("host-a", {"migrate", "status"})["name"] == "web-1");
  // To ask how it went is no failure.
  const Ran status = hosts.text("host-a", {"migrate", "status"});
  CHECK(status.code == 0);
  CHECK(status.out.find("0 B") == std::string::npos);

  const Ran nowhere = hosts.text("host-a", {"migrate", "web-1", "--to", "host-z", "--ticket", ticket});
  CHECK(nowhere.code == 2);
  CHECK(nowhere.err.find("host-b") != std::string::npos);  // its peers
  CHECK(nowhere.out.empty());
  CHECK(hosts.json("host-a", {"migrate", "list"})["migrations"].size() == 1);

  REQUIRE(hosts.text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", ticket}).code == 0);
  CHECK(hosts.text("host-a", {"host", "info"}).out.find("in doubt") == std::string::npos);
  CHECK(hosts.json("host-a", {"host", "info"})["migrations_in_doubt"] == 0);
}

TEST_CASE("a migration that runs when its grant is withdrawn at both ends is completed, and the next is refused") {
  TwoHosts hosts;
  hosts.start();
  const std::string later = hosts.ticket();
  REQUIRE(hosts
              .text("host-a", {"migrate", "web-1", "--to", "host-b", "--ticket", hosts.ticket(), "--bandwidth", "2MB/s",
                               "--detach"})
              .code == 0);
  const auto state = [&] { return hosts.json("host-a", {"migrate", "status"})["state"].get<std::string>(); };
  REQUIRE(comes_true([&] { return state() != "preparing"; }));
  for (const auto* host : {"host-a", "host-b"})
    REQUIRE(hosts.text(host, {"grant", "revoke", "migration", "--reason", "advisory"}).code == 0);
  REQUIRE(state() == "transferring");  // 16 MiB at 2 MB/s
  REQUIRE(comes_true([&] { return state() != "transferring" && state() != "switching"; }));
  CHECK(state() == "completed");
  CHECK(hosts.json("host-b", {"vm", "show", "web-1"})["state"] == "running");
  CHECK(hosts.json("host-a", {"vm", "list"})["domains"].empty());
  const Ran next = hosts.text("host-b", {"migrate", "web-1", "--to", "host-a", "--ticket", later});
  INFO(next.err);
  CHECK(next.code == 3);
  CHECK(next.err.find("vmsec grant restore 1") != std::string::npos);
}

TEST_CASE("a migration that is too slow is let go on the way; bad rates are refused") {
  TwoHosts hosts;
  hosts.start();
  const std::string ticket = hosts.ticket();
  const auto begin = [&](const char* rate) {
    return hosts.text("host-a",
                      {"migrate", "web-1", "--to", "host-b", "--ticket", ticket, "--bandwidth", rate, "--detach"});
  };
  for (const char* bad : {"fast", "0MB/s", "-1MB/s", "10"}) CHECK(begin(bad).code == 2);
  CHECK(begin("10B/s").code == 2);
  const auto set = [&](const char* rate) {
    return hosts.text("host-a", {"migrate", "set", "web-1", "--bandwidth", rate});
  };
  CHECK(set("unlimited").code == 2);    // there is none yet
  REQUIRE(begin("64KiB/s").code == 0);  // minutes
  for (const char* bad : {"fast", "0MB/s", "10B/s", ""}) CHECK(set(bad).code == 2);
  REQUIRE(set("1Mbit/s").code == 0);
  CHECK(hosts.json("host-a", {"migrate", "status"})["bandwidth"] == 125'000);
  REQUIRE(set("unlimited").code == 0);
  REQUIRE(comes_true([&] { return hosts.json("host-a", {"migrate", "status"})["state"] == "completed"; }));
  CHECK(hosts.json("host-b", {"vm", "show", "web-1"})["state"] == "running");
}

TEST_CASE("where a VM in doubt runs is not made up") {
  vmsec::MigrationStatus status;
  status.state = vmsec::MigrationState::in_doubt;
  status.outgoing = true;
  status.peer = "host-b";
  CHECK(vmsec::cli::runs_at(status, vmsec::DomainState::running) == "this host");
  CHECK(vmsec::cli::runs_at(status, vmsec::DomainState::paused) == "not known here: ask host-b");
  CHECK(vmsec::cli::runs_at(status, std::nullopt) == "not known here: ask host-b");
}
