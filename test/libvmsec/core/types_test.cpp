#include <catch2/catch.hpp>

#include "vmsec/result.hpp"
#include "vmsec/service/error_reply.hpp"
#include "vmsec/types.hpp"

namespace vmsec {
namespace {

TEST_CASE("a UUID comes back as its text, in lower case") {
  const auto uuid = Uuid::parse("1B4E28BA-2fa1-11D2-883f-0016d3cca427");
  REQUIRE(uuid);
  CHECK(uuid->text() == "1b4e28ba-2fa1-11d2-883f-0016d3cca427");
  CHECK_FALSE(uuid->is_nil());
  CHECK(Uuid().is_nil());
}

TEST_CASE("what is no UUID is refused, and named") {
  for (const std::string text :
       {"", "1b4e28ba", "1b4e28ba-2fa1-11d2-883f-0016d3cca42", "1b4e28ba-2fa1-11d2-883f-0016d3cca4270",
        "1b4e28ba+2fa1-11d2-883f-0016d3cca427", "1b4e28bag2fa1-11d2-883f-0016d3cca427",
        "gb4e28ba-2fa1-11d2-883f-0016d3cca427", "{1b4e28ba-2fa1-11d2-883f-0016d3cca42}"}) {
    INFO(text);
    const auto uuid = Uuid::parse(text);
    REQUIRE_FALSE(uuid);
    CHECK(uuid.error().code == Code::invalid_argument);
    CHECK_THAT(uuid.error().message, Catch::Contains("UUID \"" + text + "\""));
  }
  CHECK(Uuid::parse(std::string(1 << 20, 'a')).error().message.size() < 200);
}

TEST_CASE("codes fall into three families") {
  CHECK(family(Code::ok) == Family::none);
  CHECK(family(Code::limit_exceeded) == Family::caller);
  CHECK(family(Code::in_doubt) == Family::environment);
  CHECK(family(Code::denied) == Family::security);
  CHECK(family(Code::expired) == Family::security);
}

TEST_CASE("an error keeps its code and its native code in a context") {
  const Error error{Code::io, "read: no", 5, "errno"};
  const Error outer = error.in("open web-1");
  CHECK(outer.message == "open web-1: read: no");
  CHECK(outer.code == Code::io);
  CHECK(outer.native == 5);
  CHECK(outer.native_source == "errno");
}

TEST_CASE("an error that claims to be none is an internal one") {
  CHECK(ErrorReply{Code::ok, "fine", 0, {}}.error().code == Code::internal);
  CHECK(ErrorReply::from(Error{Code::denied, "no", 0, {}}).error().code == Code::denied);
}

}  // namespace
}  // namespace vmsec
