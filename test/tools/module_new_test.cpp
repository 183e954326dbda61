// What `vmsec module new` writes. That it builds and passes its own test is test/package/run's to show.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tools/process.hpp"

using namespace vmsec::test;

namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// All that was written, one after the other.
std::string everything(const nlohmann::json& answer) {
  std::string text;
  for (const auto& file : answer["files"]) text += read_file(file.get<std::string>());
  return text;
}

}  // namespace

TEST_CASE("a new module has its own name in every file, and no other") {
  const TempDir folder;
  for (const std::string language : {"c", "c++"}) {
    const std::string place = folder / ("in " + language);
    const auto answer = tool_json({"module", "new", "disk_watch2", "--language", language, "--folder", place});
    CHECK(answer["folder"] == place);
    CHECK(answer["files"].size() == 8);
    const std::string text = everything(answer);
    CHECK(has(text, "project(disk_watch2 "));
    CHECK(has(text, language == "c" ? "struct disk_watch2 {" : "class DiskWatch2 final"));
    CHECK(has(text, "[module.disk_watch2]"));
    CHECK(!has(text, "my_module"));
    CHECK(!has(text, "MyModule"));
    struct stat check{};
    REQUIRE(::stat((place + "/test/check").c_str(), &check) == 0);
    CHECK((check.st_mode & S_IXUSR) != 0);
  }
}

TEST_CASE("a new module is written over nothing") {
  const TempDir folder;
  write_file(folder / "mine.txt", "mine");
  const Ran there = tool({"module", "new", "a", "--folder", folder.path().string()});
  CHECK(there.code == 2);
  CHECK(has(there.err, "is there and not empty"));
  CHECK(read_file(folder / "mine.txt") == "mine");
  const Ran file = tool({"module", "new", "a", "--folder", folder / "mine.txt"});
  CHECK(file.code != 0);
  CHECK(read_file(folder / "mine.txt") == "mine");
}
