#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "held_domains.hpp"

using namespace vmsec;
using namespace vmsec::common;

TEST_CASE("a held domain is refused, naming its migration, until it is released") {
  HeldDomains held;
  const Uuid domain = *Uuid::parse("c7a5fdbd-edaf-9455-926a-d65c16db1809");
  const Uuid migration = *Uuid::parse("11111111-1111-4111-8111-111111111111");
  CHECK(held.permit(domain, "resume"));
  held.hold(domain, migration);
  CHECK(held.is_held(domain));
  const auto refused = held.permit(domain, "resume web-1");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::wrong_state);
  CHECK(refused.error().message.find(migration.text()) != std::string::npos);
  CHECK(held.permit(migration, "resume"));
  held.release(domain);
  CHECK(held.permit(domain, "resume"));
}

TEST_CASE("what libvirt was told of a held domain holds for that migration only") {
  HeldDomains held;
  const Uuid domain = *Uuid::parse("c7a5fdbd-edaf-9455-926a-d65c16db1809");
  const Uuid first = *Uuid::parse("11111111-1111-4111-8111-111111111111");
  const Uuid second = *Uuid::parse("22222222-2222-4222-8222-222222222222");
  held.told_loaded(domain);
  CHECK_FALSE(held.was_told_loaded(domain));  // nobody held it
  held.hold(domain, first);
  held.told_loaded(domain);
  held.hold(domain, first);
  CHECK(held.was_told_loaded(domain));
  held.hold(domain, second);
  CHECK_FALSE(held.was_told_loaded(domain));
  held.told_loaded(domain);
  held.release(domain);
  CHECK_FALSE(held.was_told_loaded(domain));
}

TEST_CASE("a domain becomes held only after the resume that was allowed has ended") {
  HeldDomains held;
  const Uuid domain = *Uuid::parse("c7a5fdbd-edaf-9455-926a-d65c16db1809");
  std::atomic<bool> is_held = false;
  std::thread holder;
  {
    const auto permit = held.permit(domain, "resume");
    REQUIRE(permit);
    holder = std::thread([&] {
      held.hold(domain, domain);
      is_held = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK_FALSE(is_held);
  }
  holder.join();
  CHECK(is_held);
}
