#include <catch2/catch.hpp>

#include "worker/worker_instance.hpp"

namespace vmsec::test {

TEST_CASE("a process that ends at once is started more and more seldom, up to every half minute") {
  worker::BackOff back_off;
  std::uint64_t wanted = 100'000;
  for (int i = 0; i < 20; ++i) {
    CHECK(back_off.next({0}).value == wanted);
    wanted = std::min<std::uint64_t>(2 * wanted, 30'000'000);
  }
}

TEST_CASE("after a life of a minute the first pause is short again") {
  worker::BackOff back_off;
  for (int i = 0; i < 5; ++i) back_off.next({0});
  CHECK(back_off.next({59'999'999}).value == 3'200'000);
  CHECK(back_off.next({60'000'000}).value == 100'000);
}

}  // namespace vmsec::test
