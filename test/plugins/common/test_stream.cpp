#include <unistd.h>

#include <catch2/catch.hpp>

#include "stream.hpp"

using namespace vmsec;
using namespace vmsec::common;

TEST_CASE("a control message is bounded, of a known kind, and its text harmless") {
  CHECK_FALSE(decode_control(""));
  CHECK_FALSE(decode_control(wire::encode(Control{.kind = static_cast<ControlKind>(9)})));
  CHECK_FALSE(decode_control(wire::encode(Control{.kind = ControlKind::begin, .bulk = 65})));
  const auto refuse =
      decode_control(wire::encode(Control{.kind = ControlKind::refuse, .reason = "\x1b[31m" + std::string(9000, 'x')}));
  REQUIRE(refuse);
  CHECK(refuse->reason.size() == 512);
  CHECK(refuse->reason.starts_with("[31mx"));

  Fd near_end;
  auto stream = Stream::open(ChannelKind::control, 0, {}, near_end);
  REQUIRE(stream);
  const std::uint32_t size = 5000;
  REQUIRE(::write(near_end.get(), &size, sizeof size) == sizeof size);
  CHECK((*stream)->receive_control().error().message.find("of at most 4096") != std::string::npos);
}
