#include <catch2/catch.hpp>

#include "domain_spec.hpp"
#include "toml_reader.hpp"

using namespace vmsec;
using namespace vmsec::sim;

namespace {

const std::string kGood = R"(name = "web-1"
uuid = "5e000000-0000-0000-0000-000000000001"
memory = "64 MiB"
vcpus = 2
seed = 42
tpm = true
tags = ["web", "a \"quoted\" one"]
[workload]
pattern = "hot"
dirty_rate = 2000
hot_fraction = 0.05
fill = 0.7
cpu = 0.5
marker = "seen on the wire"
[[disk]]
target = "vda"
source = "web-1.img"
capacity = "1 GiB"
read = "40 MB/s"
write = 1000
block = "4 KiB"
[[nic]]
target = "web-1-0"
mac = "52:54:00:00:00:01"
receive = "1 MiB/s"
)";

// The error for kGood with one part replaced.
std::string error_with(const std::string& part, const std::string& by) {
  std::string text = kGood;
  text.replace(text.find(part), part.size(), by);
  const auto spec = parse_domain(text, "web-1.toml");
  return spec ? "" : spec.error().message;
}

}  // namespace

TEST_CASE("a domain file gives the domain that it describes") {
  const auto spec = parse_domain(kGood, "web-1.toml");
  REQUIRE(spec);
  CHECK(spec->name == "web-1");
  CHECK(spec->memory.value == 64u << 20);
  CHECK(spec->workload.pattern == Pattern::hot);
  CHECK(spec->workload.hot_fraction == 0.05);
  CHECK(spec->disks.at(0).read.value == 40'000'000);
  CHECK(spec->disks.at(0).block.value == 4096);
  CHECK(spec->nics.at(0).receive.value == 1u << 20);
  CHECK(spec->tags.at(1) == "a \"quoted\" one");
}

TEST_CASE("a domain may be given as many vCPUs as it has, unless its file says more") {
  const auto same = parse_domain(kGood, "web-1.toml");
  REQUIRE(same);
  CHECK(same->vcpus == 2);
  CHECK(same->vcpus_maximum == 2);
  std::string text = kGood;
  text.replace(text.find("vcpus = 2"), 9, "vcpus = 2\nvcpus_maximum = 6");
  const auto more = parse_domain(text, "web-1.toml");
  REQUIRE(more);
  CHECK(more->vcpus == 2);
  CHECK(more->vcpus_maximum == 6);
  CHECK(parse_domain(write_domain(*more), "text") == *more);
}

TEST_CASE("the text of a domain reads back as the same domain, and is always the same") {
  const auto spec = parse_domain(kGood, "web-1.toml");
  REQUIRE(spec);
  const std::string text = write_domain(*spec);
  const auto again = parse_domain(text, "text");
  INFO(text);
  REQUIRE(again);
  CHECK(*again == *spec);
  CHECK(write_domain(*again) == text);
}

TEST_CASE("a bad domain file is an error with file, line, column and cause") {
  struct Case {
    std::string part, by, place, cause;
  };
  const std::vector<Case> cases = {
      {"name = \"web-1\"", "", ":1:1: name", "missing"},
      {"\"web-1\"", "7", ":1:8: name", "want a text"},
      {"\"web-1\"", "\"../x\"", ":1:8: name", "letters"},
      {"\"web-1\"", "\"" + std::string(65, 'x') + "\"", ":1:8: name", "longer than 64"},
      {"\"web-1\"", "\"a\\u0000b\"", ":1:8: name", "control character"},
      {"0001\"", "000\"", ":2:8: uuid", "want a UUID"},
      {"5e000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000000", ":2:8: uuid", "not all zero"},
      {"64 MiB", "64 MiBs", ":3:10: memory", "unknown unit"},
      {"64 MiB", "-1", ":3:10: memory", "want a size"},
      {"64 MiB", "99999999999999999999", ":3:10: memory", "want a size"},
      {"64 MiB", "18446744073709551615 GiB", ":3:10: memory", "more than a size can be"},
      {"64 MiB", "90000 GiB", ":3:10: memory", "want 1048576 to"},
      {"64 MiB", "1048577", ":3:10: memory", "multiple of 4096"},
      {"vcpus = 2", "vcpus = 0", ":4:9: vcpus", "want 1 to 128"},
      {"vcpus = 2", "vcpus = 2.5", ":4:9: vcpus", "whole number"},
      {"vcpus = 2", "vcpu = 2", ":4:1: vcpu", "unknown key"},
      {"vcpus = 2", "vcpus_maximum = 129", ":4:17: vcpus_maximum", "want 1 to 128"},
      {"seed = 42", "vcpus_maximum = 1", ":5:17: vcpus_maximum", "want 2 to 128"},
      {"seed = 42", "seed = -1", ":5:8: seed", "want 0 to"},
      {"tpm = true", "tpm = 1", ":6:7: tpm", "true or false"},
      {"[\"web\"", "[3", ":7:9: tags", "want a text"},
      {"[workload]", "[[workload]]", ": workload", "want a table"},
      {"\"hot\"", "\"chaos\"", ":9:11: workload.pattern", "want \"idle\""},
      {"= 2000", "= 99999999999", ":10:14: workload.dirty_rate", "want 0 to"},
      {"0.05", "1.5", ":11:16: workload.hot_fraction", "want 0 to 1"},
      {"0.05", "nan", ":11:16: workload.hot_fraction", "want 0 to 1"},
      {"0.5", "\"all\"", ":13:7: workload.cpu", "want a number"},
      {"[[disk]]", "[disk]", ": disk", "want [[disk]] tables"},
      {"web-1.img", "../../etc/shadow", ":17:10: disk.source", "want a file name"},
      {"web-1.img", "/disks/../etc/shadow", ":17:10: disk.source", "without \"..\""},
      {"1 GiB", "1 KiB", ":18:12: disk.capacity", "want 4096 to"},
      {"40 MB/s", "40 MB", ":19:8: disk.read", "want a rate"},
      {"40 MB/s", "40 m/s", ":19:8: disk.read", "unknown unit"},
      {"4 KiB", "4 GiB", ":21:9: disk.block", "want 512 to"},
      {"52:54:00:00:00:01", "52:54:00:00:00", ":24:7: nic.mac", "want xx:xx"},
      {"vcpus = 2", "\xef\xbb\xbevcpus = 2", ":4:1: ", "beyond ASCII"},
      {"vcpus = 2", "vcpus = ", ":4:", "value"},
      {"vcpus = 2", "name = \"x\"", ":4:", "redefine"},
      {"seed = 42", "seed = 42\nx = \"\xff\"", ":6:", ""},
  };
  for (const auto& each : cases) {
    const auto message = error_with(each.part, each.by);
    INFO(each.part << " -> " << each.by << "\n" << message);
    CHECK(message.starts_with("web-1.toml:"));
    CHECK(message.find(each.place) != std::string::npos);
    CHECK(message.find(each.cause) != std::string::npos);
  }
  CHECK(error_with("target = \"web-1-0\"", "target = \"a\"\nmac = \"52:54:00:00:00:01\"\n[[nic]]\ntarget = \"a\"")
            .find("a second one") != std::string::npos);
  CHECK_FALSE(parse_domain(std::string(70000, '#'), "big"));
  CHECK_FALSE(parse_domain(std::string(60000, '['), "deep"));
}
