#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tools/process.hpp"

using namespace vmsec::test;

namespace {

// An authority with host-a and host-b, and a placement key.
struct Pki {
  TempDir folder;
  std::string ca = folder / "ca";
  std::string key = folder / "placement.key";
  Pki() {
    REQUIRE(tool({"pki", "init", ca, "--name", "Test"}).code == 0);
    for (const auto* host : {"host-a", "host-b"})
      REQUIRE(tool({"pki", "issue", ca, host, "--out", folder.path()}).code == 0);
    REQUIRE(tool({"pki", "placement-key", key}).code == 0);
  }
};

constexpr const char* kVm = "0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01";
const std::string kDigest(64, 'a');

// As every time in --json: 2026-11-21T08:23:36.000000Z
bool is_time(const nlohmann::json& value) {
  if (!value.is_string()) return false;
  const std::string text = value;
  return text.size() == 27 && text[4] == '-' && text[10] == 'T' && text[19] == '.' && text.back() == 'Z';
}

std::vector<std::string> create(const Pki& pki, const std::string& to, const std::string& destination) {
  return {"ticket",
          "create",
          "--key",
          pki.key,
          "--vm",
          kVm,
          "--to",
          to,
          "--source-cert",
          pki.folder / "host-a.crt",
          "--destination-cert",
          pki.folder / destination,
          "--configuration-digest",
          kDigest};
}

}  // namespace

TEST_CASE("issued certificates are listed, a revoked one as revoked, and the list's number rises") {
  const Pki pki;
  const auto listed = tool_json({"pki", "list", pki.ca});
  const auto& before = listed["certificates"];
  REQUIRE(before.size() == 2);
  CHECK(before[0]["host"] == "host-a");
  CHECK(before[1]["revoked"].is_null());
  const auto revoked = tool_json({"pki", "revoke", pki.ca, "host-b"});
  CHECK(revoked["revoked"][0]["serial"] == before[1]["serial"]);
  const auto after = tool_json({"pki", "list", pki.ca});
  CHECK(is_time(after["certificates"][1]["revoked"]));
  CHECK(is_time(after["next_update"]));
  CHECK(after["number"] == revoked["number"]);
  CHECK(tool({"pki", "list", pki.ca}).out.find("good until") != std::string::npos);
  CHECK(tool_json({"pki", "crl", pki.ca})["number"] == revoked["number"].get<int>() + 1);
}

TEST_CASE("private keys are ours alone and never overwritten") {
  const Pki pki;
  for (const auto& file : {pki.key, pki.folder / "host-a.key", pki.ca + "/ca.key"}) {
    struct stat info{};
    REQUIRE(::stat(file.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
  const std::string before = read_file(pki.key);
  CHECK(tool({"pki", "placement-key", pki.key}).code == 2);
  CHECK(tool({"pki", "issue", pki.ca, "host-a", "--out", pki.folder.path()}).code == 2);
  CHECK(tool({"pki", "init", pki.ca, "--name", "again"}).code == 2);
  CHECK(read_file(pki.key) == before);
}

TEST_CASE("folders that are missing are made, for us alone") {
  const TempDir folder;
  const std::string ca = folder / "etc/vmsec/ca";
  REQUIRE(tool({"pki", "init", ca, "--name", "Test"}).code == 0);
  REQUIRE(tool({"pki", "issue", ca, "host-a", "--out", folder / "certs/host-a/"}).code == 0);
  for (const auto& made : {ca, folder / "certs/host-a"}) {
    struct stat info{};
    REQUIRE(::stat(made.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0700);
  }
}

TEST_CASE("a certificate whose files could not be written is not in the register") {
  const Pki pki;
  const auto count = tool_json({"pki", "list", pki.ca})["certificates"].size();
  write_file(pki.folder / "no-folder", "");
  CHECK(tool({"pki", "issue", pki.ca, "host-c", "--out", pki.folder / "no-folder/certs"}).code != 0);
  CHECK(tool({"pki", "issue", pki.ca, "host-c", "--out", "/proc"}).code != 0);
  CHECK(tool_json({"pki", "list", pki.ca})["certificates"].size() == count);
  CHECK(tool({"pki", "issue", pki.ca, "host-c", "--out", pki.folder / "certs"}).code == 0);
}

TEST_CASE("bad names and unknown hosts are the caller's mistake") {
  const Pki pki;
  CHECK(tool({"pki", "issue", pki.ca, "Host A"}).code == 2);
  CHECK(tool({"pki", "issue", pki.ca, "../host"}).code == 2);
  CHECK(tool({"pki", "revoke", pki.ca, "nobody"}).code == 2);
}

TEST_CASE("a ticket is made without a host, shown, and its signature checked") {
  const Pki pki;
  const std::string file = pki.folder / "web.ticket";
  auto words = create(pki, "host-b", "host-b.crt");
  words.insert(words.end(), {"--out", file, "--ttl", "5min"});
  const auto made = tool_json(words);
  CHECK(made["domain"] == kVm);
  CHECK(made["source"] == "host-a");
  CHECK(made["destination"] == "host-b");
  CHECK(made["configuration_digest"] == kDigest);
  CHECK(is_time(made["not_before"]));
  CHECK(made["expires"].get<std::string>() > made["not_before"].get<std::string>());
  CHECK(tool(words).code != 0);  // never overwritten

  const auto shown = tool_json({"ticket", "show", file, "--key", pki.key + ".pub"});
  CHECK(shown["id"] == made["id"]);
  CHECK(shown["signature"] == "good");
  CHECK(tool_json({"ticket", "show", file})["signature"] != "good");

  const Ran other = tool({"ticket", "show", file, "--key", pki.folder / "host-a.crt"});
  CHECK(other.code == 3);
  CHECK(other.out.empty());
}

TEST_CASE("a ticket that was changed is refused") {
  const Pki pki;
  const Ran made = tool(create(pki, "host-b", "host-b.crt"));
  REQUIRE(made.code == 0);
  const auto try_with = [&](const std::string& text) {
    write_file(pki.folder / "changed", text);
    return tool({"ticket", "show", pki.folder / "changed", "--key", pki.key + ".pub"}).code;
  };
  CHECK(try_with(made.out) == 0);
  const std::size_t claims = made.out.find('\n') + 100;
  std::size_t refused = 0;
  for (std::size_t at = claims; at < claims + 40; at += 8) {
    std::string text = made.out;
    if (text[at] == '\n') continue;
    text[at] = text[at] == 'A' ? 'B' : 'A';
    const int code = try_with(text);
    CHECK((code == 2 || code == 3));
    ++refused;
  }
  CHECK(refused > 3);
  CHECK(try_with(made.out.substr(0, made.out.size() / 2)) == 2);
  CHECK(try_with("") == 2);
  CHECK(tool({"ticket", "show", pki.folder / "none"}).code == 2);
}

TEST_CASE("a ticket that no host could accept is not made") {
  const Pki pki;
  const auto with = [&](const std::string& option, const std::string& value) {
    auto words = create(pki, "host-b", "host-b.crt");
    words.insert(words.end(), {option, value});
    return tool(words).code;
  };
  CHECK(tool(create(pki, "host-b", "host-a.crt")).code == 2);  // another host's certificate
  CHECK(tool(create(pki, "host-c", "host-b.crt")).code == 2);
  CHECK(tool(create(pki, "host-b", "none.crt")).code != 0);
  CHECK(with("--ttl", "25h") == 2);
  CHECK(with("--ttl", "0s") == 2);
  CHECK(with("--ttl", "10") == 2);
}

TEST_CASE("a placement key that others may read signs nothing") {
  const Pki pki;
  REQUIRE(::chmod(pki.key.c_str(), 0644) == 0);
  const Ran ran = tool(create(pki, "host-b", "host-b.crt"));
  CHECK(ran.code == 3);
  CHECK(ran.out.empty());
}
