// What is verified is what is loaded, and its entry says what its file said.
#include <cstdlib>

#include "libvmsec/loader/signed.hpp"
#include "loader/module_file.hpp"
#include "loader/plugin_file.hpp"
#include "paths.hpp"

namespace vmsec::test {
namespace {

using loader::ModuleFile;
using loader::SealedFile;

struct Bench {
  TempDir dir;
  SigningKey key{dir, "maker"};
  Trust trust = trust_in(key.trusted({TrustRole::module}));
  vmsec_host host{sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, nullptr, nullptr};

  fs::path place(const std::string& name) const {
    const fs::path to = dir.path() / "x.so";
    fs::copy_file(std::string(VMSEC_BINARY_DIR) + "/test/small/" + name + ".so", to,
                  fs::copy_options::overwrite_existing);
    return to;
  }
  fs::path place_signed(const std::string& name) const {
    key.sign(place(name));
    return dir.path() / "x.so";
  }
  Result<std::unique_ptr<loader::ModuleInstance>> start(const fs::path& file) const {
    VMSEC_TRY(const ModuleFile opened, ModuleFile::open(file, trust));
    return loader::start_in_process(opened, host, {});
  }
};

}  // namespace

TEST_CASE("a signed module loads, and its signer is known") {
  const Bench bench;
  const auto file = good(ModuleFile::open(bench.place_signed("good"), bench.trust));
  CHECK(to_string(file.signers()) == "maker");
  CHECK(good(loader::start_in_process(file, bench.host, {}))->call("any", 1, {}).has_value());
}

TEST_CASE("an entry of a later minor version is larger, and loads") {
  const Bench bench;
  CHECK(bench.start(bench.place_signed("larger_entry")).has_value());
}

TEST_CASE("an entry that is not what its file said is refused") {
  const auto [name, words] = GENERATE(table<std::string, std::string>(
      {{"entry_size", "55 bytes"}, {"other_major", "its section's"}, {"other_manifest", "its section's"}}));
  const Bench bench;
  const auto started = bench.start(bench.place_signed(name));
  CHECK(code_of(started) == Code::unsupported);
  CHECK_THAT(message_of(started), Catch::Contains(words));
}

TEST_CASE("nothing of a module runs when it is opened or inspected") {
  const Bench bench;
  ::unsetenv("VMSEC_TEST_MARK");
  const auto file = bench.place_signed("evil");
  CHECK(ModuleFile::open(file, bench.trust).has_value());
  CHECK(inspect_object(file, ObjectKind::module, bench.trust).has_value());
  CHECK(std::getenv("VMSEC_TEST_MARK") == nullptr);
  CHECK(bench.start(file).has_value());  // now it does
  CHECK(std::getenv("VMSEC_TEST_MARK") != nullptr);
}

TEST_CASE("one byte of the object, and it does not load") {
  const Bench bench;
  const auto file = bench.place_signed("good");
  const std::string whole = slurp(file);
  for (std::size_t at = 0; at < whole.size(); at += whole.size() / 50) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    spit(file, flipped);
    CHECK(code_of(ModuleFile::open(file, bench.trust)) == Code::tampered);
  }
}

TEST_CASE("what is signed and must not be loaded is refused by name") {
  const Bench bench;
  const auto refused = ModuleFile::open(bench.place_signed("runpath"), bench.trust);
  CHECK(code_of(refused) == Code::denied);
  CHECK_THAT(message_of(refused), Catch::Contains("x.so") && Catch::Contains("RUNPATH"));
}

TEST_CASE("a module below its minimum version does not load") {
  Bench bench;
  TrustStore store = bench.trust.operators();
  store.minimums = {{"small", "1.0"}};
  bench.trust = trust_in(store);
  CHECK(code_of(ModuleFile::open(bench.place_signed("old"), bench.trust)) == Code::denied);
  CHECK(ModuleFile::open(bench.place_signed("good"), bench.trust).has_value());
}

TEST_CASE("a module is no plugin, and a plugin no module") {
  Bench bench;
  bench.trust = trust_in(bench.key.trusted({TrustRole::module, TrustRole::plugin}));
  const auto file = bench.place("good");
  bench.key.sign(file, ObjectKind::plugin);
  CHECK(code_of(ModuleFile::open(file, bench.trust)) == Code::untrusted);
  bench.key.sign(file, ObjectKind::module);
  CHECK(code_of(loader::PluginFile::open(file, bench.trust)) == Code::untrusted);
}

TEST_CASE("only memory that is sealed is adopted") {
  const Bench bench;
  const auto sealed = good(SealedFile::copy(bench.place("good")));
  const auto again = good(SealedFile::adopt(good(sealed.fd().duplicate()), "x.so"));
  CHECK(again.digest() == sealed.digest());
  CHECK(good(ModuleFile::adopt(good(SealedFile::adopt(good(sealed.fd().duplicate()), "x.so")))).manifest().name ==
        "small");
  Fd open_file(::open(bench.place("good").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(code_of(SealedFile::adopt(std::move(open_file), "x.so")) == Code::tampered);
}

}  // namespace vmsec::test
