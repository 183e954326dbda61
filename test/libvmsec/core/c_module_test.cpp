// The template of a module in C (tools/vmsec/templates/c), compiled into this test, against a host of the test's own.
#include <catch2/catch.hpp>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/inspection.hpp"

extern "C" const vmsec_module vmsec_module_entry;

namespace vmsec::test {
namespace {

// Opens vmsec.DomainControl as handle 7.3; its Get answers `info`, or the error.
struct FakeHost {
  Result<DomainInfo> info = DomainInfo{};
  bool opens = true;

  static void call(void* context, const vmsec_call* call, vmsec_reply* reply) {
    sdk::answer(*reply, static_cast<FakeHost*>(context)->answer(*call));
  }
  Result<Packet> answer(const vmsec_call& call) {
    Packet request = sdk::packet_of(call);
    if (call.handle == 0) {
      if (!opens) return fail(Code::denied, "open vmsec.DomainControl: not today");
      VMSEC_TRY(const auto open, wire::unpack<OpenHandle>(std::move(request)));
      CHECK(open.interface == "vmsec.DomainControl");
      return wire::pack(HandleReply{7, 3});
    }
    CHECK(call.handle == (std::uint64_t{7} << 32 | 3));
    CHECK(call.method == 2);
    VMSEC_TRY(const auto reference, wire::unpack<DomainRef>(std::move(request)));
    CHECK(reference.domain == Uuid({1, 2, 3}));
    if (!info) return fail(info.error());
    return wire::pack(*info);
  }
  [[nodiscard]] vmsec_host host() {
    return {sizeof(vmsec_host), VMSEC_ABI_MAJOR, VMSEC_ABI_MINOR, this, &FakeHost::call};
  }
};

class Module {
 public:
  static Result<Module> create(FakeHost& host, const Settings& settings) {
    const std::string configuration = wire::encode(settings);
    const vmsec_host door = host.host();
    void* instance = nullptr;
    vmsec_reply reply{};
    vmsec_module_entry.create(&door, configuration.data(), configuration.size(), &instance, &reply);
    VMSEC_CHECK(sdk::result_of(reply));
    return Module(instance);
  }
  Module(Module&& other) noexcept : instance_(std::exchange(other.instance_, nullptr)) {}
  Module& operator=(Module&&) = delete;
  ~Module() {
    if (instance_ != nullptr) vmsec_module_entry.destroy(instance_);
  }

  Result<InspectionReport> inspect(const Settings& wanted, std::uint32_t method = 1,
                                   std::string_view interface = "vmsec.Inspection") {
    VMSEC_TRY(Packet reply, sdk::call_through(vmsec_module_entry.call, instance_, interface, 0, method,
                                              wire::pack(InspectionTarget{Uuid({1, 2, 3}), wanted})));
    return wire::unpack<InspectionReport>(std::move(reply));
  }

 private:
  explicit Module(void* instance) : instance_(instance) {}
  void* instance_;
};

Settings most(std::int64_t number, SettingType type = SettingType::integer, const char* path = "most_vcpus") {
  return {{Setting{.path = path, .type = type, .integer = number}}};
}

}  // namespace

TEST_CASE("a module in C reads its settings, calls the host and reports") {
  FakeHost host;
  host.info->vcpus = 8;
  host.info->memory = Bytes{512 << 20};
  auto module = Module::create(host, most(6));
  REQUIRE(module);
  const auto report = module->inspect({});
  REQUIRE(report);
  REQUIRE(report->observations.size() == 1);
  CHECK(report->observations[0].severity == Severity::warning);
  CHECK(report->observations[0].message == "it has 8, more than 6");
  REQUIRE(report->measurements.size() == 2);
  CHECK(report->measurements[1].value == "512 MiB");
  const auto lenient = module->inspect(most(8));
  REQUIRE(lenient);
  CHECK(lenient->observations.empty());
}

TEST_CASE("a module in C passes on what the host refuses") {
  FakeHost host;
  auto module = Module::create(host, {});
  REQUIRE(module);
  host.info = fail(Code::revoked, "get web-1: the grant was withdrawn");
  const auto refused = module->inspect({});
  REQUIRE(!refused);
  CHECK(refused.error().code == Code::revoked);
  CHECK(refused.error().message == "get web-1: the grant was withdrawn");
  host.opens = false;
  const auto none = Module::create(host, {});
  REQUIRE(!none);
  CHECK(none.error().code == Code::denied);
}

TEST_CASE("a module in C refuses what it does not understand") {
  FakeHost host;
  for (const Settings& bad :
       {most(0), most(1025), most(-1), most(4, SettingType::text), most(4, SettingType::integer, "x")}) {
    const auto module = Module::create(host, bad);
    REQUIRE(!module);
    CHECK(module.error().code == Code::invalid_argument);
    CHECK_THAT(module.error().message, Catch::Contains("most_vcpus, an integer of 1 to 1024"));
  }
  auto module = Module::create(host, {});
  REQUIRE(module);
  CHECK(module->inspect({}, 2).error().code == Code::unsupported);
  CHECK(module->inspect({}, 1, "vmsec.Enforcement").error().code == Code::unsupported);
}

}  // namespace vmsec::test
