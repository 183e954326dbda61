#include "evidence/ima.hpp"

#include <catch2/catch.hpp>

#include "ima_lists.hpp"

namespace vmsec::boot::test {
namespace {

std::string extended(Hash bank, std::string_view value, std::string_view by) {
  return digest(bank, {value, by}).value();
}

struct BadList {
  std::string name;
  std::string list;
  std::string cause;
};

std::vector<BadList> bad_lists() {
  const std::string good = ima_entry("ima-ng", ng_data("boot_aggregate"));
  const auto ng = [](const std::string& data) { return ima_entry("ima-ng", data); };
  const std::string zeros(20, '\0');
  std::string tampered = good;
  tampered[tampered.size() - 5] = static_cast<char>(tampered[tampered.size() - 5] ^ 1);
  return {
      {"empty", "", "the list is empty"},
      {"cut in its head", good.substr(0, 23), "it ends within its PCR and template digest"},
      {"PCR 24", ima_entry("ima-ng", ng_data("a"), 24), "PCR 24, where a TPM has 0 to 23"},
      {"absurd name size", ima_raw(10, zeros, "", "").substr(0, 24) + "\xff\xff\xff\xff", "4294967295 bytes"},
      {"an unknown template", ima_entry("ima-new", ng_data("a")), "template \"ima-new\" is not known"},
      {"a digest changed", tampered, "its template digest is not that of its data"},
      {"another template digest", ima_raw(10, std::string(20, 'x'), "ima-ng", field(ng_data("a"))),
       "its template digest is not that of its data"},
      {"a violation with a digest", ima_raw(10, zeros, "ima-ng", field(ng_data("a"))), "a violation with a digest"},
      {"no algorithm", ng(field(std::string(33, 'd')) + path_field("a")), "its digest names no algorithm"},
      {"no colon", ng(field(std::string("sha256\0", 7) + std::string(32, 'd')) + path_field("a")),
       "names no algorithm"},
      {"an unknown algorithm", ng(named_digest("rot13") + path_field("a")), "a digest by \"rot13\""},
      {"a short digest", ng(named_digest("sha256", 31) + path_field("a")), "a sha256 digest of 31 bytes"},
      {"of neither kind", ima_entry("ima-ngv2", named_digest("evm:sha256") + path_field("a")), "neither of ima nor of"},
      {"of no kind", ima_entry("ima-ngv2", ng_data("a")), "neither of ima nor of verity"},
      {"a path without end", ng(named_digest("sha256") + field("a")), "its path has no end"},
      {"an empty path", ng(ng_data("")), "its path is empty"},
      {"two paths", ng(ng_data(std::string("a\0b", 3))), "its path has a zero within"},
      {"a long path", ng(ng_data(std::string(4097, 'a'))), "its path has 4097 bytes, more than 4096"},
      {"a long old path", old_entry(std::string(256, 'a')), "its path has 256 bytes, more than 255"},
      {"a field missing", ima_entry("ima-sig", ng_data("a")), "ends within field 3 of 3"},
      {"a field too many", ng(ng_data("a") + field("sig")), "7 bytes behind its last field"},
      {"absurd field size", ng("\xff\xff\xff\x7f"), "ends within field 1 of 2"},
      {"second entry cut", good + good.substr(0, good.size() - 1), "entry 1: its data needs"},
      {"beyond the limit", std::string(kMaxImaBytes + 1, '\0'), "more than 16777216"},
  };
}

}  // namespace

TEST_CASE("every template is read, with what it tells") {
  const std::string sig = field("\3\2signature");
  const std::string list = ima_entry("ima-ng", ng_data("boot_aggregate")) + old_entry("/init") +
                           ima_entry("ima-ngv2", named_digest("verity:sha512", 64) + path_field("/a")) +
                           ima_entry("ima-sig", ng_data("/b") + sig) +
                           ima_entry("ima-sigv2", named_digest("ima:sha1", 20) + path_field("/c") + sig) +
                           ima_entry("ima-buf", ng_data("kexec-cmdline") + field("quiet")) +
                           ima_entry("ima-modsig", ng_data("/d") + sig + field("") + field("")) +
                           ima_entry("ima-ng", ng_data("/elsewhere"), 11);
  const auto read = read_ima(list);
  REQUIRE(read);
  REQUIRE(read->entries.size() == 8);
  const auto& entries = read->entries;
  CHECK(entries[0].template_name == "ima-ng");
  CHECK(entries[0].path == "boot_aggregate");
  CHECK(entries[0].digest == std::string(32, 'd'));
  CHECK(entries[0].hash == Hash::sha256);
  CHECK(entries[1].hash == Hash::sha1);
  CHECK(entries[1].path == "/init");
  CHECK(entries[2].hash == Hash::sha512);
  CHECK(entries[3].signature == "\3\2signature");
  CHECK(entries[4].hash == Hash::sha1);
  CHECK(entries[5].path == "kexec-cmdline");
  CHECK(entries[5].signature.empty());
  CHECK(entries[6].signature == "\3\2signature");
  CHECK(entries[7].pcr == 11);
  CHECK(entries[7].number == 7);
}

TEST_CASE("the list leads to its PCR as new kernels and as old ones extend it") {
  const std::string first = ng_data("boot_aggregate");
  const std::string list = ima_entry("ima-ng", first) + old_entry("/init") + ima_entry("ima-ng", ng_data("/a"), 11);
  std::string own(32, '\0');
  std::string padded(32, '\0');
  for (const auto& hashed : {first, old_hashed("/init")}) {
    own = extended(Hash::sha256, own, sha256({hashed}).value());
    padded = extended(Hash::sha256, padded, digest(Hash::sha1, {hashed}).value() + std::string(12, '\0'));
  }
  const auto read = read_ima(list);
  REQUIRE(read);
  CHECK(read->pcr == own);
  CHECK(read->pcr_padded == padded);

  const auto sha1 = read_ima(list, Hash::sha1);
  REQUIRE(sha1);
  CHECK(sha1->pcr == sha1->pcr_padded);
  const std::string zero(20, '\0');
  CHECK(sha1->pcr == extended(Hash::sha1, extended(Hash::sha1, zero, digest(Hash::sha1, {first}).value()),
                              digest(Hash::sha1, {old_hashed("/init")}).value()));
}

TEST_CASE("a violation extends ones, whatever its entry says") {
  const auto read = read_ima(violation("/tmp/open"));
  REQUIRE(read);
  CHECK(read->entries[0].violation);
  CHECK(read->pcr == extended(Hash::sha256, std::string(32, '\0'), std::string(32, '\xff')));
  CHECK(read->pcr_padded ==
        extended(Hash::sha256, std::string(32, '\0'), std::string(20, '\xff') + std::string(12, '\0')));
}

TEST_CASE("a bad IMA list is an error that names byte, entry and cause") {
  for (const auto& bad : bad_lists()) {
    INFO(bad.name);
    const auto read = read_ima(bad.list);
    REQUIRE_FALSE(read);
    INFO(read.error().message);
    CHECK(read.error().code == Code::invalid_argument);
    CHECK(read.error().message.starts_with("IMA list, byte "));
    CHECK(read.error().message.find(bad.cause) != std::string::npos);
  }
}

TEST_CASE("a list that ends within any entry is refused, and each changed byte is seen") {
  const std::string first = ima_entry("ima-ng", ng_data("boot_aggregate"));
  const std::string list = first + ima_entry("ima-sig", ng_data("/bin/sh") + field("sig"));
  const auto whole = read_ima(list).value();
  for (std::size_t size = 0; size < list.size(); ++size)
    CHECK((size == first.size()) == read_ima(std::string_view(list).substr(0, size)).has_value());
  for (std::size_t at = 0; at < list.size(); ++at) {
    std::string changed = list;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    const auto read = read_ima(changed);
    // Another PCR's number is all that may change, and then this one's value does.
    if (read) CHECK(read->pcr != whole.pcr);
  }
}

}  // namespace vmsec::boot::test
