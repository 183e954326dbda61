// vmsec vm define, export, start, undefine on the simulated hypervisor.
#include <catch2/catch.hpp>

#include "paths.hpp"
#include "tools/process.hpp"

using namespace vmsec::test;
using Words = std::vector<std::string>;

namespace {

struct Bench {
  Bench() {
    write_file(folder / "web-1.raw", std::string(8192, 'x'));
    write_file(file, definition("web-1", ""));
  }
  [[nodiscard]] std::string definition(const std::string& name, const std::string& more) const {
    return "version = 1\nname = \"" + name + "\"\nvcpus = 2\nmemory = \"4 MiB\"\n" + more +
           "[[disk]]\ntarget = \"vda\"\nsource = \"" + folder / "web-1.raw" + "\"\n";
  }
  [[nodiscard]] Words words(const Words& command) const {
    const std::string lib = std::string(VMSEC_BINARY_DIR) + "/lib/vmsec/";
    Words all{"--plugin",      "sim",           "--plugin-path", lib + "plugins",
              "--module-path", lib + "modules", "--state",       folder / "state"};
    all.insert(all.end(), command.begin(), command.end());
    return all;
  }
  [[nodiscard]] Ran vm(Words command) const {
    command.insert(command.begin(), "vm");
    return tool(words(command));
  }
  [[nodiscard]] nlohmann::json json(Words command) const {
    command.insert(command.begin(), "vm");
    return tool_json(words(command));
  }

  TempDir folder;
  std::string file = folder / "web-1.toml";
};

}  // namespace

TEST_CASE("a VM is defined by its file, started, and exported as that file") {
  const Bench bench;
  const auto defined = bench.json({"define", bench.file});
  CHECK(defined["state"] == "shut off");
  CHECK(defined["domain"].get<std::string>().size() == 36);  // the file has none: it was drawn
  CHECK(bench.vm({"start", "web-1"}).out == "web-1 is running\n");
  CHECK(bench.vm({"start", "web-1"}).code == 2);
  const Ran exported = bench.vm({"export", "web-1"});
  CHECK(exported.code == 0);
  CHECK(exported.err.empty());
  CHECK(exported.out.find("uuid = \"" + defined["domain"].get<std::string>() + "\"") != std::string::npos);
  CHECK(bench.vm({"export", "web-1", "--native"}).out.find("[workload]") != std::string::npos);
  const auto json = bench.json({"export", "web-1"});
  CHECK(json["definition"]["guest"] == "usual");
  CHECK(json["definition"]["disks"][0]["format"] == "raw");
  CHECK(json["losses"].empty());
  CHECK(bench.vm({"undefine", "web-1"}).code == 2);  // it runs
}

TEST_CASE("an exported file defines the same VM again, and no file is replaced") {
  const Bench bench;
  REQUIRE(bench.vm({"define", bench.file}).code == 0);
  const std::string out = bench.folder / "out.toml";
  REQUIRE(bench.vm({"export", "web-1", "--out", out}).code == 0);
  const Ran again = bench.vm({"export", "web-1", "--out", out});
  CHECK(again.code == 2);
  CHECK(again.err.find("is not replaced") != std::string::npos);
  CHECK(bench.vm({"define", out}).code == 2);  // it is here
  CHECK(bench.vm({"undefine", "web-1"}).out == "web-1 is undefined; its disks stay\n");
  CHECK(bench.vm({"show", "web-1"}).code == 2);
  const auto defined = bench.json({"define", out});
  CHECK(read_file(out).find(defined["domain"].get<std::string>()) != std::string::npos);
}

TEST_CASE("what is lost refuses a definition, is shown by a dry run, and is named to go on without it") {
  const Bench bench;
  write_file(bench.file, bench.definition("web-1", "guest = \"pvh\"\nvcpus_maximum = 4\n"));
  const Ran dry = bench.vm({"define", bench.file, "--dry-run"});
  CHECK(dry.code == 0);
  CHECK(dry.out.find("name = \"web-1\"") != std::string::npos);
  CHECK(dry.out.find("guest") != std::string::npos);
  const auto json = bench.json({"define", bench.file, "--dry-run"});
  REQUIRE_FALSE(json["losses"].empty());
  CHECK(json["format"] == "sim-toml");
  CHECK(bench.json({"list"})["domains"].empty());
  const Ran refused = bench.vm({"define", bench.file});
  CHECK(refused.code == 2);
  CHECK(refused.err.find("guest: ") != std::string::npos);
  CHECK(refused.err.find("--without") != std::string::npos);
  CHECK(bench.vm({"define", bench.file, "--without", "tpm"}).err.find("nothing is lost there") != std::string::npos);
  Words without{"define", bench.file};
  for (const auto& loss : json["losses"])
    without.insert(without.end(), {"--without", loss["place"].get<std::string>()});
  CHECK(bench.vm(without).code == 0);
}

TEST_CASE("what an export loses is on standard error, beside the definition") {
  const Bench bench;
  std::filesystem::create_directory(bench.folder / "domains");
  write_file(bench.folder / "domains/old.toml",
             "name = \"old\"\nuuid = \"0c7f3a52-2b1e-4c43-9a3e-6f3b6f0d1e01\"\nmemory = \"4 MiB\"\nseed = 7\n");
  const Ran ran = bench.vm({"export", "old", "--setting", "domains=" + bench.folder / "domains"});
  CHECK(ran.code == 0);
  CHECK(ran.out.starts_with("version = 1\nname = \"old\"\n"));
  CHECK(ran.err.find("LOST") != std::string::npos);
  CHECK(ran.err.find("seed") != std::string::npos);
}
