// The wire format in C (vmsec/wire.h): it reads what C++ writes, and the other way.
#include <catch2/catch.hpp>

#include "libvmsec/core/all_messages.hpp"
#include "libvmsec/core/fill.hpp"
#include "vmsec/module.h"

namespace vmsec::test {
namespace {

vmsec_bytes bytes_of(const std::string& text) { return vmsec_bytes_of(text.data(), text.size()); }

// Writes again whatever is read; fixed-width fields, which the writer has not, as they came.
std::string copied(const std::string& input) {
  vmsec_writer writer = vmsec_writer_of(1 << 20);
  vmsec_reader reader = vmsec_reader_of(bytes_of(input));
  vmsec_field field;
  const std::uint8_t* before = reader.at;
  for (; vmsec_read(&reader, &field) != 0; before = reader.at) {
    if (field.type == VMSEC_BYTES)
      vmsec_write_bytes(&writer, field.number, field.bytes);
    else
      vmsec_append_(&writer, before, static_cast<std::size_t>(reader.at - before));
  }
  CHECK(reader.malformed == 0);
  const vmsec_bytes out = vmsec_written(&writer);
  std::string text(reinterpret_cast<const char*>(out.data), out.size);
  vmsec_writer_drop(&writer);
  return text;
}

// 1 and how many fields, or 0 where it is malformed.
int read_all(const std::string& input) {
  vmsec_reader reader = vmsec_reader_of(bytes_of(input));
  vmsec_field field;
  int count = 1;
  while (vmsec_read(&reader, &field) != 0) ++count;
  return reader.malformed != 0 ? 0 : count;
}

}  // namespace

TEST_CASE("wire.h reads every message that C++ writes") {
  AllMessages::for_each([]<class T>() {
    INFO(T::kMessage);
    const std::string bytes = wire::encode(filled<T>());
    CHECK(copied(bytes) == bytes);
  });
}

TEST_CASE("wire.h writes what C++ reads, messages within messages too") {
  vmsec_writer writer = vmsec_writer_of(4096);
  const std::size_t list = vmsec_write_begin(&writer, 1);
  vmsec_write_text(&writer, 1, "disk.vda.read");
  vmsec_write_number(&writer, 2, 1);
  vmsec_write_text(&writer, 3, std::string(300, 'x').c_str());  // a length of two bytes
  vmsec_write_number(&writer, 4, static_cast<std::uint64_t>(-5));
  vmsec_write_end(&writer, list);
  vmsec_write_end(&writer, vmsec_write_begin(&writer, 1));  // an empty one
  const vmsec_bytes out = vmsec_written(&writer);
  const auto settings = wire::decode<Settings>(std::string_view(reinterpret_cast<const char*>(out.data), out.size));
  REQUIRE(settings);
  REQUIRE(settings->settings.size() == 2);
  CHECK(settings->settings[0].path == "disk.vda.read");
  CHECK(settings->settings[0].type == SettingType::text);
  CHECK(settings->settings[0].text == std::string(300, 'x'));
  CHECK(settings->settings[0].integer == -5);
  vmsec_writer_drop(&writer);
}

TEST_CASE("wire.h: what is cut short at any place, or is no Protobuf, is malformed") {
  const std::string whole(
      "\x0a\x03"
      "abc\x10\xac\x02\x19\x01\x02\x03\x04\x05\x06\x07\x08\x25\x01\x02\x03\x04",
      22);
  CHECK(read_all(whole) == 5);
  int good = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) good += read_all(whole.substr(0, size)) != 0 ? 1 : 0;
  CHECK(good == 4);  // cut between two fields it is a shorter message
  for (const std::string& bad : {std::string("\x02\x01x"), std::string("\x0b\x0c"), std::string("\x0f"),
                                 std::string("\x0a\xff\xff\xff\xff\x7f") + "a", std::string(1, '\x80'),
                                 "\x08" + std::string(10, '\xff') + "\x01", "\x08" + std::string(9, '\xff') + "\x02",
                                 std::string("\xf8\xff\xff\xff\x7f\x01")})
    CHECK(read_all(bad) == 0);
  CHECK(read_all("\x08" + std::string(9, '\xff') + "\x01") == 2);
}

TEST_CASE("wire.h: a writer holds no more than its limit, and then says so") {
  vmsec_writer writer = vmsec_writer_of(16);
  vmsec_write_text(&writer, 1, "12345678901234");
  CHECK(writer.failed == 0);
  CHECK(writer.size == 16);
  vmsec_write_number(&writer, 2, 1);
  CHECK(writer.failed == 1);
  CHECK(writer.size == 16);
  vmsec_write_text(&writer, 1, "");
  CHECK(writer.size == 16);

  vmsec_reply reply{};
  vmsec_answer(&reply, &writer);  // takes the bytes, whatever it answers
  CHECK(writer.data == nullptr);
  CHECK(reply.code == VMSEC_LIMIT_EXCEEDED);
  vmsec_reply_drop(&reply);

  writer = vmsec_writer_of(100);
  const std::size_t begin = vmsec_write_begin(&writer, 1);
  vmsec_write_text(&writer, 1, std::string(97, 'x').c_str());
  vmsec_write_end(&writer, begin);  // no room for its length
  CHECK(writer.failed == 1);
  vmsec_writer_drop(&writer);
}

TEST_CASE("module.h's codes are result.hpp's") {
  CHECK(VMSEC_OK == static_cast<int>(Code::ok));
  CHECK(VMSEC_INVALID_ARGUMENT == static_cast<int>(Code::invalid_argument));
  CHECK(VMSEC_NOT_FOUND == static_cast<int>(Code::not_found));
  CHECK(VMSEC_ALREADY_EXISTS == static_cast<int>(Code::already_exists));
  CHECK(VMSEC_UNSUPPORTED == static_cast<int>(Code::unsupported));
  CHECK(VMSEC_WRONG_STATE == static_cast<int>(Code::wrong_state));
  CHECK(VMSEC_LIMIT_EXCEEDED == static_cast<int>(Code::limit_exceeded));
  CHECK(VMSEC_UNAVAILABLE == static_cast<int>(Code::unavailable));
  CHECK(VMSEC_TIMEOUT == static_cast<int>(Code::timeout));
  CHECK(VMSEC_IO == static_cast<int>(Code::io));
  CHECK(VMSEC_CANCELLED == static_cast<int>(Code::cancelled));
  CHECK(VMSEC_INTERNAL == static_cast<int>(Code::internal));
  CHECK(VMSEC_IN_DOUBT == static_cast<int>(Code::in_doubt));
  CHECK(VMSEC_DENIED == static_cast<int>(Code::denied));
  CHECK(VMSEC_REVOKED == static_cast<int>(Code::revoked));
  CHECK(VMSEC_UNAUTHENTICATED == static_cast<int>(Code::unauthenticated));
  CHECK(VMSEC_UNTRUSTED == static_cast<int>(Code::untrusted));
  CHECK(VMSEC_TAMPERED == static_cast<int>(Code::tampered));
  CHECK(VMSEC_EXPIRED == static_cast<int>(Code::expired));
}

}  // namespace vmsec::test
