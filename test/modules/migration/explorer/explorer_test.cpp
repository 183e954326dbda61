// Every interleaving of a migration, its failures and its resolving: never two run, none is lost.
#include "explorer.hpp"

#include <catch2/catch.hpp>
#include <iostream>

using namespace vmsec::migration;
using namespace vmsec::migration::explorer;

namespace {

Report look(const char* name, const World& world, const Limits& limits = {}) {
  const Report report = explore(Rules{}, world, limits);
  std::cout << name << ": " << report.text() << std::endl;
  return report;
}

void check(const char* name, const World& world) {
  const Report report = look(name, world);
  INFO(report.text() << '\n' << report.trace);
  CHECK(report.whole);
  CHECK(report.violation.empty());
  CHECK(report.stuck == 0);
  CHECK(report.open == 0);
}

}  // namespace

TEST_CASE("agents die and lines are cut, at any moment and any number of times: one owner, and recovery ends") {
  check("agents, lines", {});
}

TEST_CASE("a guest dies or ends, at either host: no old copy runs, no only copy is destroyed") {
  check("agents, lines, guests", {.guests_die = true});
}

TEST_CASE("a disk does not take a record, or takes it and says that it did not") {
  check("agents, lines, a disk", {.disk_failures = 1});
}

TEST_CASE("later migrations of the guest: no record and no message of the first one acts on them") {
  check("agents, lines, later migrations", {.moves_on = true});
}

TEST_CASE("hosts lose their power, and an operator's word about it is true") {
  check("agents, power, a true word", {.links_break = false, .power_fails = true, .fence = Fence::true_word});
}

TEST_CASE("post-copy: what it leaves behind never runs, and nobody is in doubt for ever") {
  check("post-copy, agents, lines", {.post_copy = true});
  check("post-copy, agents, lines, a disk", {.disk_failures = 1, .post_copy = true});
  check("post-copy, agents, power, a true word",
        {.links_break = false, .power_fails = true, .fence = Fence::true_word, .post_copy = true});
  check("post-copy, agents, lines, later migrations", {.moves_on = true, .post_copy = true});
  check("post-copy, agents, lines, lies", {.liar = true, .post_copy = true});
}

TEST_CASE("a post-copy that broke is taken up, and breaks again: what it leaves behind never runs") {
  check("post-copy that is taken up, agents, lines, a disk", {.disk_failures = 1, .post_copy = true, .recovers = true});
  check("post-copy that is taken up, agents, lines, guests", {.guests_die = true, .post_copy = true, .recovers = true});
  check("post-copy that is taken up, agents, power, a true word",
        {.links_break = false, .power_fails = true, .fence = Fence::true_word, .post_copy = true, .recovers = true});
  check("post-copy that is taken up, agents, lines, later migrations",
        {.moves_on = true, .post_copy = true, .recovers = true});
  check("post-copy that is taken up, agents, lines, lies", {.liar = true, .post_copy = true, .recovers = true});
}

TEST_CASE("a destination that lies takes nothing from its source") { check("agents, lines, lies", {.liar = true}); }

TEST_CASE("a word about a host that is not off makes the guest run twice, as the document says") {
  const Report report = look("agents, lines, a wrong word", {.fence = Fence::wrong_word});
  CHECK(report.violation == "two hosts run the guest");
}

TEST_CASE("a wrong word about the destination before COMMIT calls the guest lost; started anew, it runs once") {
  const Report report =
      look("agents, lines, a wrong word at the source", {.fence = Fence::wrong_at_source, .moves_on = true});
  INFO(report.text() << '\n' << report.trace);
  CHECK(report.violation.empty());
}

TEST_CASE("behind COMMIT such a word may make a guest that is started anew run twice, as the document says") {
  const Report report =
      look("agents, lines, a wrong word behind COMMIT", {.fence = Fence::wrong_after_commit, .moves_on = true});
  CHECK(report.violation == "two hosts run the guest");
}

// For script/soak: everything together.
TEST_CASE("all that may go wrong, together", "[.deep]") {
  const World world{
      .guests_die = true, .power_fails = true, .disk_failures = 2, .fence = Fence::true_word, .moves_on = true};
  const Report report = look("everything", world, {.states = 12'000'000, .recovery = false});
  INFO(report.text() << '\n' << report.trace);
  CHECK(report.violation.empty());
}
