#include <catch2/catch.hpp>

#include "libvmsec/core/all_messages.hpp"
#include "libvmsec/core/fill.hpp"

namespace vmsec::test {
namespace {

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}

template <wire::Message T>
std::string decode_error(const std::string& input) {
  const auto message = wire::decode<T>(input);
  if (message) return "(decoded)";
  CHECK(message.error().code == Code::invalid_argument);
  return message.error().message;
}

TEST_CASE("wire: each malformed message is an error that names message and cause") {
  struct Bad {
    const char* what;
    std::string input;
    const char* fragment;
  };
  const Bad table[] = {
      {"text as a varint", bytes({0x08, 1}), "vmsec.Setting.path: not length-delimited"},
      {"integer as text", bytes({0x22, 1, 'x'}), "vmsec.Setting.integer: not a varint"},
      {"double as a varint", bytes({0x30, 1}), "vmsec.Setting.real: not a double"},
      {"line beyond 32 bits", bytes({0x40, 0xff, 0xff, 0xff, 0xff, 0x7f}), "vmsec.Setting.line: number out of range"},
      {"enum beyond 32 bits", bytes({0x10, 0xff, 0xff, 0xff, 0xff, 0x7f}), "vmsec.Setting.type: enum out of range"},
      {"truncated text", bytes({0x0a, 5, 'a', 'b'}), "vmsec.Setting: end of buffer"},
      {"absurd length", bytes({0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f, 'a'}), "vmsec.Setting"},
      {"truncated varint", bytes({0x20, 0x80}), "vmsec.Setting: end of buffer"},
      {"varint of eleven bytes", bytes({0x20, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}),
       "vmsec.Setting: varint too long"},
      {"truncated double", bytes({0x31, 1, 2, 3}), "vmsec.Setting: end of buffer"},
      {"field number 0", bytes({0x02, 1, 'a'}), "vmsec.Setting: invalid tag"},
      {"a group", bytes({0x0b, 0x0c}), "vmsec.Setting"},
      {"reserved wire type", bytes({0x0f}), "vmsec.Setting"},
      {"unknown field, truncated", bytes({0xfa, 0x3e, 9, 'a'}), "vmsec.Setting: end of buffer"},
  };
  for (const Bad& bad : table) {
    INFO(bad.what);
    CHECK_THAT(decode_error<Setting>(bad.input), Catch::Contains(bad.fragment));
  }
  CHECK_THAT(decode_error<DomainRef>(bytes({0x0a, 3, 'a', 'b', 'c'})),
             Catch::Contains("vmsec.DomainRef.domain") && Catch::Contains("UUID"));
  CHECK_THAT(decode_error<Settings>(bytes({0x0a, 2, 0x08, 1})), Catch::Contains("vmsec.Setting.path"));
}

TEST_CASE("wire: an unknown field is skipped, so that messages can grow") {
  const std::string unknown =
      bytes({0xfa, 0x3e, 3, 'n', 'e', 'w', 0xf8, 0x3f, 7, 0xf9, 0x3f, 1, 2, 3, 4, 5, 6, 7, 8, 0xfd, 0x3f, 1, 2, 3, 4});
  const auto reference = wire::decode<OpenHandle>(unknown + wire::encode(OpenHandle{"vmsec.Journal"}) + unknown);
  REQUIRE(reference);
  CHECK(reference->interface == "vmsec.Journal");
  CHECK(wire::decode<Empty>(unknown));
}

TEST_CASE("wire: numbers may be packed or one by one") {
  const auto packed = wire::decode<VcpuPin>(bytes({0x12, 3, 1, 2, 3}));
  REQUIRE(packed);
  CHECK(packed->cpus == std::vector<std::uint32_t>{1, 2, 3});
  const auto single = wire::decode<VcpuPin>(bytes({0x10, 1, 0x10, 2, 0x10, 3}));
  REQUIRE(single);
  CHECK(*single == *packed);
  CHECK_THAT(decode_error<VcpuPin>(bytes({0x12, 5, 0xff, 0xff, 0xff, 0xff, 0x7f})), Catch::Contains("out of range"));
  CHECK_THAT(decode_error<VcpuPin>(bytes({0x12, 2, 1, 0x80})), Catch::Contains("vmsec.VcpuPin"));
}

TEST_CASE("wire: a descriptor travels beside its message, and one that did not come is an error") {
  Packet packet = wire::pack(filled<ChannelEnd>());
  REQUIRE(packet.fds.size() == 1);
  const int number = packet.fds[0].get();
  auto end = wire::unpack<ChannelEnd>(Packet{packet.bytes, std::move(packet.fds)});
  REQUIRE(end);
  CHECK(end->fd.get() == number);
  for (const int place : {0, 1, 2, 127}) {
    const auto missing = wire::unpack<ChannelEnd>(Packet{bytes({0x08, place}), {}});
    REQUIRE_FALSE(missing);
    CHECK_THAT(missing.error().message, Catch::Contains("vmsec.ChannelEnd.fd: its descriptor did not come along"));
  }
}

TEST_CASE("wire: a descriptor can be claimed once only") {
  Packet packet;
  packet.fds.push_back(filled<ChannelEnd>().fd);
  packet.bytes = bytes({0x08, 1, 0x08, 1});
  CHECK_FALSE(wire::unpack<ChannelEnd>(std::move(packet)));
}

TEST_CASE("wire: a const message keeps its descriptors, a moved one gives them away") {
  ChannelEnd end = filled<ChannelEnd>();
  CHECK(wire::pack(std::as_const(end)).fds.size() == 1);
  CHECK(end.fd.valid());
  CHECK(wire::pack(std::move(end)).fds.size() == 1);
  CHECK_FALSE(end.fd.valid());
}

TEST_CASE("wire: every message comes back as it was, and defaults take no bytes") {
  AllMessages::for_each([]<class T>() {
    INFO(T::kMessage);
    // A default that is not 0 would come back in the place of a 0 that was sent.
    CHECK(wire::encode(T{}).empty());
    const std::string once = wire::encode(filled<T>());
    // Descriptors are left out by encode(), so what remains must be stable.
    const auto back = wire::decode<T>(once);
    REQUIRE(back);
    CHECK(wire::encode(*back) == once);
  });
}

TEST_CASE("wire: a message that is cut anywhere is an error or a shorter message, never more") {
  AllMessages::for_each([]<class T>() {
    INFO(T::kMessage);
    const std::string whole = wire::encode(filled<T>());
    std::size_t errors = 0;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto cut = wire::decode<T>(std::string_view(whole).substr(0, size));
      if (!cut)
        ++errors;
      else
        CHECK(wire::encode(*cut).size() <= whole.size());
    }
    if (whole.size() > 3) CHECK(errors > 0);
  });
}

TEST_CASE("wire: an absent optional value and a zero one are told apart") {
  ResourceLimits limits;
  limits.cpu_quota_millis = 0;
  const auto back = wire::decode<ResourceLimits>(wire::encode(limits));
  REQUIRE(back);
  CHECK(back->cpu_quota_millis == 0u);
  CHECK_FALSE(back->cpu_weight.has_value());
}

}  // namespace
}  // namespace vmsec::test
