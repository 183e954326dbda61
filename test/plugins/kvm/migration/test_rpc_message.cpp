#include "support.hpp"

using namespace vmsec;
using namespace vmsec::kvm;
using namespace vmsec::kvm::test;

TEST_CASE("captured messages survive decoding and encoding byte for byte") {
  const auto prepare = captured("prepare");
  CHECK(prepare.header.is(rpc::Procedure::domain_migrate_prepare3_params));
  const auto prepare_call = rpc::parse_prepare(prepare.payload());
  REQUIRE(prepare_call);
  CHECK(rpc::encode(prepare.header, rpc::encode(*prepare_call)) == prepare.bytes);

  const auto finish = captured("finish");
  const auto finish_call = rpc::parse_finish(finish.payload());
  REQUIRE(finish_call);
  CHECK(finish_call->cancelled == 0);
  CHECK(rpc::encode(finish.header, rpc::encode(*finish_call)) == finish.bytes);

  const auto prepare_reply = captured("prepare_reply");
  const auto prepared = rpc::parse_prepare_reply(prepare_reply.payload());
  REQUIRE(prepared);
  CHECK(rpc::encode(prepare_reply.header, rpc::encode(*prepared)) == prepare_reply.bytes);

  const auto finish_reply = captured("finish_reply");
  const auto finished = rpc::parse_finish_reply(finish_reply.payload());
  REQUIRE(finished);
  CHECK(finished->uuid.text() == kDomainUuid);
  CHECK(finished->name == "km-web");
  CHECK(rpc::encode(finish_reply.header, rpc::encode(*finished)) == finish_reply.bytes);
}

TEST_CASE("every truncation of a captured call is an error, not a shorter call") {
  for (const std::string name : {"prepare", "finish"}) {
    const auto whole = captured(name);
    const auto payload = whole.payload();
    for (std::size_t size = 0; size < payload.size(); ++size) {
      const auto part = payload.substr(0, size);
      const bool parsed =
          name == "prepare" ? rpc::parse_prepare(part).has_value() : rpc::parse_finish(part).has_value();
      REQUIRE_FALSE(parsed);
    }
  }
}

TEST_CASE("bytes after a call's arguments are refused") {
  const std::string payload = std::string(captured("prepare").payload()) + std::string(4, '\0');
  const auto parsed = rpc::parse_prepare(payload);
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message.find("4 bytes too many") != std::string::npos);
}

TEST_CASE("a stream is cut into messages wherever its pieces end") {
  const std::string stream = data("auth_list.bin") + data("connect_open.bin") + data("prepare.bin");
  for (const std::size_t piece : {1U, 3U, 28U, 1000U}) {
    rpc::Framer framer;
    std::string again;
    for (std::size_t at = 0; at < stream.size(); at += piece) {
      framer.add(std::string_view(stream).substr(at, piece));
      for (auto message = framer.next(); message && *message; message = framer.next()) again += (*message)->bytes;
    }
    CHECK(again == stream);
    CHECK(framer.pending() == 0);
  }
}

TEST_CASE("a message's length is bounded before anything is kept") {
  for (const std::uint32_t length : {0U, 4U, 27U, 0x400001U, 0x7fffffffU, 0xffffffffU}) {
    XdrWriter out;
    out.u32(length);
    rpc::Framer framer;
    framer.add(out.bytes());
    CHECK_FALSE(framer.next());
  }
}

TEST_CASE("XDR with padding that is not zero is refused") {
  XdrWriter out;
  out.opaque("abc");
  std::string bytes = out.bytes();
  CHECK(XdrReader(bytes).opaque(16, "text"));
  bytes.back() = 'x';
  CHECK_FALSE(XdrReader(bytes).opaque(16, "text"));
}

TEST_CASE("a text with a NUL in it is refused, for libvirt would read another one") {
  XdrWriter out;
  out.opaque(std::string_view("qemu:///system\0x", 16));
  CHECK_FALSE(XdrReader(out.bytes()).text(64, "name"));
  CHECK(XdrReader(out.bytes()).opaque(64, "name"));
}

TEST_CASE("counts above the limits are refused before they are believed") {
  XdrWriter many;
  many.u32(65);
  CHECK_FALSE(rpc::parse_prepare(many.bytes()));
  XdrWriter long_text;
  long_text.u32(0xfffffff0U);
  CHECK_FALSE(XdrReader(long_text.bytes()).text(rpc::kTextLimit, "text"));
}

TEST_CASE("a typed parameter of an unknown type is refused") {
  XdrWriter out;
  out.u32(1);
  out.opaque("bandwidth");
  out.u32(9);
  out.u64(1);
  out.opaque("");
  out.u32(0);
  const auto parsed = rpc::parse_prepare(out.bytes());
  REQUIRE_FALSE(parsed);
  CHECK(parsed.error().message.find("bandwidth") != std::string::npos);
}

TEST_CASE("an error answer is one that libvirt can read") {
  const auto call = captured("connect_open");
  const auto answer = message_of(rpc::error_reply(call.header, "not part of a migration"));
  CHECK(answer.header.serial == call.header.serial);
  CHECK(answer.header.procedure == call.header.procedure);
  CHECK(answer.header.is(rpc::Type::reply));
  CHECK(answer.header.is(rpc::Outcome::error));
  CHECK(rpc::error_text(answer.payload()) == "not part of a migration");
}
