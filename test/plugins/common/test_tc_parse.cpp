#include <catch2/catch.hpp>

#include "tc_parse.hpp"

using namespace vmsec;
using namespace vmsec::common;

TEST_CASE("a tbf's rate is read in bytes a second") {
  const auto qdiscs = parse_qdiscs(
      R"([{"kind":"tbf","handle":"1:","root":true,"refcnt":2,"options":{"rate":5000000,"burst":100000,"lat":50000}},
          {"kind":"ingress","handle":"ffff:","parent":"ffff:fff1","options":{}}])");
  REQUIRE(qdiscs);
  REQUIRE(qdiscs->size() == 2);
  CHECK((*qdiscs)[0].kind == "tbf");
  CHECK((*qdiscs)[0].root);
  CHECK((*qdiscs)[0].rate == 5'000'000);
  CHECK((*qdiscs)[1].kind == "ingress");
  CHECK_FALSE((*qdiscs)[1].root);
}

TEST_CASE("only a redirect of mirred counts as one") {
  const auto targets = parse_redirects(
      R"([{"kind":"u32"},{"options":{"actions":[{"kind":"gact"},
          {"kind":"mirred","mirred_action":"mirror","to_dev":"ifb1"},
          {"kind":"mirred","mirred_action":"redirect","to_dev":"ifb2"}]}}])");
  REQUIRE(targets);
  CHECK(*targets == std::vector<std::string>{"ifb2"});
}

TEST_CASE("nothing to list is an empty list") {
  REQUIRE(parse_qdiscs(" \n"));
  CHECK(parse_qdiscs(" \n")->empty());
  CHECK(parse_qdiscs("[]")->empty());
}

TEST_CASE("output that is not tc's is an error or holds nothing") {
  CHECK_FALSE(parse_qdiscs("{}"));
  CHECK_FALSE(parse_qdiscs("[{"));
  CHECK_FALSE(parse_qdiscs("Cannot find device"));
  CHECK_FALSE(parse_qdiscs(std::string((1 << 20) + 1, '[')));
  const auto odd = parse_qdiscs(R"([1, null, {"kind":7,"root":"yes","options":{"rate":-5}}])");
  REQUIRE(odd);
  REQUIRE(odd->size() == 1);
  CHECK(odd->front().rate == 0);
  CHECK_FALSE(odd->front().root);
  const auto odd_links = parse_links(R"([{"ifname":"-x"},{"ifname":"a b"},{"ifname":"ok0"}])");
  REQUIRE(odd_links);
  CHECK(*odd_links == std::vector<std::string>{"ok0"});
}

TEST_CASE("only plain names are an interface's") {
  CHECK(is_interface_name("vnet0"));
  CHECK(is_interface_name("tap.web_1-a"));
  CHECK_FALSE(is_interface_name(""));
  CHECK_FALSE(is_interface_name("-all"));
  CHECK_FALSE(is_interface_name(".."));
  CHECK_FALSE(is_interface_name("a/b"));
  CHECK_FALSE(is_interface_name("a b"));
  CHECK_FALSE(is_interface_name("tap$(id)"));
  CHECK_FALSE(is_interface_name("sixteen-letters-"));
  CHECK_FALSE(is_interface_name(std::string_view("a\0b", 3)));
}
