// Modules that are measured before they are loaded: by a real TPM, and by what is attested.
#include "evidence/module_log.hpp"
#include "scene.hpp"
#include "tpm/tpm.hpp"
#include "vmsec-measure/measure.hpp"

namespace vmsec::boot::test {
namespace {

constexpr std::uint32_t kPcr = 11;

LoadedObject throttle(char fill = 'a') { return {"module", "throttle", std::string(64, fill)}; }
LoadedObject plugin() { return {"plugin", "kvm", std::string(64, 'b')}; }

std::vector<LoadedObject> objects_of(const std::string& log) {
  std::vector<LoadedObject> out;
  const auto read = read_module_log(log);
  INFO((read ? "" : read.error().message));
  REQUIRE(read);
  for (const auto& each : read->objects) out.push_back(each.object);
  return out;
}

std::string value_of(const Swtpm& swtpm, Hash bank = Hash::sha256) {
  return Tpm::open(swtpm.tcti()).value().read_pcrs(PcrMask{1U << kPcr}, bank).value()[kPcr];
}

// A host whose agent has loaded a plugin and a module, and a reference that says so.
struct MeasuredScene : Scene {
  std::string log = folder.path() / "modules.log";

  MeasuredScene() {
    load(plugin());
    load(throttle());
    const auto replayed = [&] {
      auto out = replay(host->event_log).value();
      REQUIRE(replay_modules(out, host->module_log));
      return out;
    }();
    folder.file("reference.toml", write_reference(replayed, PcrMask{0xff | 1U << kPcr}, "host-a"));
  }

  void load(const LoadedObject& object) {
    const auto done = measure({host->tpm.tcti(), kPcr, log, object});
    INFO((done ? "" : done.error().message));
    REQUIRE(done);
    host->module_log = read_whole(log);
  }
};

}  // namespace

TEST_CASE("a module is measured into every bank, once a boot, and the log leads to what the TPM has") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  TempFolder folder;
  const std::string log = folder.path() / "modules.log";
  const auto before = value_of(swtpm);
  REQUIRE(measure({swtpm.tcti(), kPcr, log, plugin()}));
  REQUIRE(measure({swtpm.tcti(), kPcr, log, throttle()}));
  const auto after = value_of(swtpm);
  CHECK(after != before);
  for (const auto bank : {Hash::sha256, Hash::sha384}) {
    auto replayed = replay(begin_module_log({{bank, digest_size(bank).value()}}, {}), bank).value();
    REQUIRE(replay_modules(replayed, read_whole(log)));
    CHECK(replayed.values[kPcr] == value_of(swtpm, bank));
  }
  CHECK(objects_of(read_whole(log)) == std::vector{plugin(), throttle()});

  SECTION("again, and nothing changes") {
    REQUIRE(measure({swtpm.tcti(), kPcr, log, throttle()}));
    CHECK(value_of(swtpm) == after);
    CHECK(objects_of(read_whole(log)).size() == 2);
  }
  SECTION("another file of the same name is another measurement") {
    REQUIRE(measure({swtpm.tcti(), kPcr, log, throttle('c')}));
    CHECK(value_of(swtpm) != after);
    CHECK(objects_of(read_whole(log)).back() == throttle('c'));
  }
  SECTION("a new boot begins a new log") {
    swtpm.reset();
    REQUIRE(measure({swtpm.tcti(), kPcr, log, throttle()}));
    CHECK(objects_of(read_whole(log)) == std::vector{throttle()});
  }
  SECTION("a log that cannot be read or written is an error, and the PCR stays") {
    folder.file("modules.log", "garbage");
    CHECK_FALSE(measure({swtpm.tcti(), kPcr, log, throttle('d')}));
    CHECK_FALSE(measure({swtpm.tcti(), kPcr, (folder.path() / "none/modules.log").string(), throttle('d')}));
    CHECK(value_of(swtpm) == after);
  }
  SECTION("without its TPM nothing is measured, and the log stays") {
    const auto had = read_whole(log);
    swtpm.stop();
    CHECK(measure({swtpm.tcti(), kPcr, log, throttle('d')}).error().code == Code::unavailable);
    CHECK(read_whole(log) == had);
  }
}

TEST_CASE("what the log has beyond the PCR was never measured, and is believed by nobody") {
  if (!Swtpm::available()) return;
  Swtpm swtpm;
  TempFolder folder;
  const std::string log = folder.path() / "modules.log";
  REQUIRE(measure({swtpm.tcti(), kPcr, log, plugin()}));
  const auto had = read_whole(log);
  const auto banks = read_module_log(had)->banks;
  const auto value = value_of(swtpm);
  // The agent ended between the log and the PCR, or somebody wrote into the log.
  folder.file("modules.log", had + module_event(kPcr, banks, throttle()).value());

  SECTION("the object is measured when it is loaded") {
    REQUIRE(measure({swtpm.tcti(), kPcr, log, throttle()}));
    CHECK(value_of(swtpm) != value);
    CHECK(objects_of(read_whole(log)) == std::vector{plugin(), throttle()});
  }
  SECTION("and is forgotten when another is") {
    REQUIRE(measure({swtpm.tcti(), kPcr, log, throttle('c')}));
    CHECK(objects_of(read_whole(log)) == std::vector{plugin(), throttle('c')});
  }
  SECTION("what the PCR has is not measured again") {
    REQUIRE(measure({swtpm.tcti(), kPcr, log, plugin()}));
    CHECK(value_of(swtpm) == value);
  }
  SECTION("a log that lacks what the PCR has measures nothing more") {
    folder.file("modules.log",
                begin_module_log(banks, read_module_log(had)->start) + module_event(kPcr, banks, throttle()).value());
    const auto refused = measure({swtpm.tcti(), kPcr, log, throttle('c')});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::tampered);
    CHECK(value_of(swtpm) == value);
  }
  SECTION("nor where something else has extended the PCR") {
    REQUIRE(Tpm::open(swtpm.tcti())->extend(kPcr, banks, "something else"));
    CHECK(measure({swtpm.tcti(), kPcr, log, throttle()}).error().code == Code::tampered);
  }
  SECTION("nor into another PCR in the same boot") {
    CHECK(measure({swtpm.tcti(), kPcr + 1, log, throttle()}).error().code == Code::wrong_state);
  }
}

TEST_CASE("what is no module, or no PCR for modules, is not measured") {
  const auto refused = [](std::uint32_t pcr, const LoadedObject& object) {
    return measure({"swtpm:path=/nowhere", pcr, "/nowhere/log", object}).error().code == Code::invalid_argument;
  };
  for (const std::uint32_t pcr : {0U, 7U, 10U, 16U, 24U}) CHECK(refused(pcr, throttle()));
  CHECK(refused(kPcr, {"library", "x", std::string(64, 'a')}));
  CHECK(refused(kPcr, {"module", "", std::string(64, 'a')}));
  CHECK(refused(kPcr, {"module", "a b", std::string(64, 'a')}));
  CHECK(refused(kPcr, {"module", "a", std::string(63, 'a')}));
  CHECK(refused(kPcr, {"module", "a", std::string(64, 'g')}));
}

TEST_CASE("a host is trusted with the modules of the reference, and with no other") {
  if (!Swtpm::available()) return;
  MeasuredScene scene;
  const auto report = scene.attest();
  INFO(report.cause);
  CHECK(report.verdict == Verdict::trusted);
  SECTION("a module of another digest is named") {
    scene.load(throttle('c'));
    scene.must_be_untrusted("; module throttle is " + std::string(64, 'c') + ", which the reference does not have");
  }
  SECTION("a module that is not in the reference is named") {
    scene.load({"module", "spy", std::string(64, 'd')});
    scene.must_be_untrusted("; module spy is ");
  }
  SECTION("a module that is written down and not yet measured is not loaded, and in nobody's way") {
    const auto value = value_of(scene.host->tpm);
    const auto banks = read_module_log(scene.host->module_log)->banks;
    scene.host->module_log += module_event(kPcr, banks, {"module", "spy", std::string(64, 'd')}).value();
    CHECK(scene.attest().verdict == Verdict::trusted);
    CHECK(value_of(scene.host->tpm) == value);
  }
  SECTION("a log that keeps silent of one does not lead to the PCR") {
    const auto had = scene.host->module_log;
    scene.load({"module", "spy", std::string(64, 'd')});
    scene.host->module_log = had;
    scene.must_be_untrusted("PCR 11 is ");
  }
  SECTION("a host that shows no log of modules") {
    scene.host->module_log.clear();
    scene.must_be_untrusted("PCR 11 is ");
  }
  SECTION("a log that gives a measurement another name") {
    auto& log = scene.host->module_log;
    log.replace(log.find("throttle"), 8, "trottles");
    scene.must_be_untrusted("digest is not of its data");
  }
}

TEST_CASE("one byte of a module log changed, at any place, is refused or told of no other modules") {
  const std::vector<Bank> banks{{Hash::sha256, 32}, {Hash::sha384, 48}};
  const auto log = begin_module_log(banks, {7, kPcr, std::string(32, 'v')}) +
                   module_event(kPcr, banks, plugin()).value() + module_event(kPcr, banks, throttle()).value();
  const auto good = read_module_log(log);
  INFO((good ? "" : good.error().message));
  REQUIRE(good);
  CHECK(good->start.reset_count == 7);
  for (std::size_t i = 0; i < log.size(); ++i) {
    std::string changed = log;
    changed[i] ^= 1;
    const auto read = read_module_log(changed);
    if (!read) continue;
    INFO(i);
    REQUIRE(read->objects.size() == 2);
    CHECK(read->objects[0].object == plugin());
    CHECK(read->objects[1].object == throttle());
  }
  for (std::size_t i = 0; i < log.size(); ++i)
    if (const auto cut = read_module_log(log.substr(0, i))) CHECK(cut->objects.size() < 2);
}

}  // namespace vmsec::boot::test
