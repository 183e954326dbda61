// my_module: asked by "vmsec inspect my_module VM", it says what it finds in a VM.
#include <vmsec/capability/domain_control.hpp>
#include <vmsec/module.hpp>
#include <vmsec/section.hpp>
#include <vmsec/service/inspection.hpp>

namespace {

using namespace vmsec;

constexpr std::uint32_t kMostVcpus = 1024;

// What the configuration's [module.my_module] says, or --set of one call.
struct Wanted {
  std::uint32_t most_vcpus = 4;
};

Status read_wanted(const Settings& settings, Wanted& wanted) {
  return no_findings(read_section(settings, [&](const Setting& setting, const SettingPath& path) -> Status {
    if (path != SettingPath{"most_vcpus"}) return unknown_key("most_vcpus");
    VMSEC_TRY(wanted.most_vcpus, integer_of(setting, 1, kMostVcpus));
    return {};
  }));
}

class MyModule final : public Inspection {
 public:
  // Once, when the host loads the module.
  static Result<std::unique_ptr<MyModule>> create(HostLink host, const Settings& settings) {
    auto module = std::make_unique<MyModule>();
    VMSEC_CHECK(read_wanted(settings, module->configured_));
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    return module;
  }

  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == endpoint_.interface_name()) return &endpoint_;
    return fail(Code::not_found, "my_module provides no " + std::string(name));
  }

  // Any thread, also several at once.
  Result<InspectionReport> inspect(const InspectionTarget& target) override {
    Wanted wanted = configured_;
    VMSEC_CHECK(read_wanted(target.wanted, wanted));
    VMSEC_TRY(const DomainInfo info, domains_->get({target.domain}));
    InspectionReport report;
    if (info.vcpus > wanted.most_vcpus)
      report.observations.push_back(
          {Severity::warning, "vCPUs",
           info.name + " has " + std::to_string(info.vcpus) + ", more than " + std::to_string(wanted.most_vcpus)});
    report.measurements.push_back({"vCPUs", std::to_string(info.vcpus)});
    report.measurements.push_back({"memory", std::to_string(info.memory.value >> 20) + " MiB"});
    return report;
  }

 private:
  Wanted configured_;
  std::unique_ptr<DomainControl> domains_;
  EndpointOf<Inspection> endpoint_{*this};
};

}  // namespace

VMSEC_MODULE(MyModule, R"(
name = "my_module"
version = "0.1"
summary = "Looks at a VM's size"
provides = ["vmsec.Inspection"]
needs = ["vmsec.DomainControl"]
)");
