#include <catch2/catch.hpp>

#include "vmsec/ticket.hpp"

using vmsec::Code;
using vmsec::parse_ticket_text;
using vmsec::ticket_text;

TEST_CASE("a ticket's text reads back as the same bytes, whatever its length") {
  std::string bytes;
  for (int length = 1; length < 300; ++length) {
    bytes += static_cast<char>(length * 37);
    const auto back = parse_ticket_text(ticket_text(bytes));
    REQUIRE(back);
    CHECK(*back == bytes);
  }
}

TEST_CASE("a ticket's text survives what mail does to lines") {
  std::string text = "\n" + ticket_text("some bytes of a ticket") + "\n\n";
  for (std::size_t at = 0; (at = text.find('\n', at)) != std::string::npos; at += 2) text.insert(at, "\r");
  const auto back = parse_ticket_text(text);
  REQUIRE(back);
  CHECK(*back == "some bytes of a ticket");
}

TEST_CASE("a damaged text is refused with its cause") {
  const std::string good = ticket_text("abcdefghijklmnopqrstuvwxyz");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const std::vector<std::string> bad = {
      "",
      "hello",
      "\n\n",
      good.substr(0, good.size() / 2),
      good + good,
      good + "x\n",
      "x\n" + good,
      with("YWJj", "YWJ"),
      with("YWJj", "YW*j"),
      with("YWJj", "YW=j"),
      with("YWJj", "YW\nJj="),
      with("eXo=", "eXp="),
      with("eXo=", "eXo=AAAA"),
      with("eXo=", "eX=="),
      std::string("-----BEGIN VMSEC MIGRATION TICKET-----\n-----END VMSEC MIGRATION TICKET-----\n"),
      with("BEGIN", "BEGlN"),
      with("YWJj", std::string(70, 'A')),
      std::string(100000, 'A'),
      with("YWJj", std::string("YW\0j", 4))};
  for (const auto& text : bad) {
    INFO(text.substr(0, 200));
    const auto back = parse_ticket_text(text);
    REQUIRE_FALSE(back);
    CHECK(back.error().code == Code::invalid_argument);
    CHECK(back.error().message.starts_with("read ticket: "));
  }
}
