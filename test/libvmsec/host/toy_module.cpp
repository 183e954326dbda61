// A module for tests: remembers a level per domain. Built twice, under two names.
#include <map>
#include <stdexcept>

#include "vmsec/capability/domain_control.hpp"
#include "vmsec/capability/interchange.hpp"
#include "vmsec/module.hpp"
#include "vmsec/service/enforcement.hpp"

namespace {

using namespace vmsec;

class Toy final : public Enforcement {
 public:
  static Result<std::unique_ptr<Toy>> create(HostLink host, const Settings& settings) {
    for (const auto& setting : settings.settings)
      if (setting.path == "broken") return fail(Code::invalid_argument, "toy: it is broken");
    auto module = std::make_unique<Toy>(host);
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    return module;
  }
  explicit Toy(HostLink host) : host_(host) {}
  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == Methods<Enforcement>::kName) return &endpoint_;
    return fail(Code::not_found, "toy has no " + std::string(name));
  }

  Result<Findings> check(const Settings& section) override {
    Findings findings;
    for (const auto& setting : section.settings) {
      if (setting.path == "unable") return fail(Code::internal, "toy: it cannot check");
      if (setting.path == "throws") throw std::runtime_error("toy threw");
      if (setting.path != "level") findings.findings.push_back({setting.line, setting.column, "unknown key"});
    }
    return findings;
  }
  Result<Changes> diff(const EnforcementTarget& target) override {
    VMSEC_CHECK(domains_->get({target.domain}));
    const std::int64_t wanted = wanted_of(target);
    if (wanted == kMeddle) VMSEC_CHECK(domains_->pause({target.domain}));
    if (wanted == kDefine) VMSEC_CHECK(define());
    const std::int64_t is = levels_[target.domain];
    if (wanted == is) return Changes{};
    return Changes{{{"level", std::to_string(is), std::to_string(wanted)}}};
  }
  Result<Changes> apply(const EnforcementTarget& target) override {
    VMSEC_TRY(Changes changes, diff(target));
    levels_[target.domain] = wanted_of(target);
    return changes;
  }

 private:
  static constexpr std::int64_t kMeddle = 13;  // a level at which even diff() acts
  static constexpr std::int64_t kDefine = 14;  // at which it does what no module may
  Status define() {
    VMSEC_TRY(const auto interchange, host_.open<Interchange>());
    VMSEC_CHECK(interchange->define(DefineDomain{}));
    return {};
  }
  // An empty section wants the highest level.
  static std::int64_t wanted_of(const EnforcementTarget& target) {
    return target.wanted.settings.empty() ? 99 : target.wanted.settings.front().integer;
  }

  HostLink host_;
  std::unique_ptr<DomainControl> domains_;
  std::map<Uuid, std::int64_t> levels_;
  EndpointOf<Enforcement> endpoint_{*this};
};

}  // namespace

VMSEC_MODULE(Toy, "name = \"" TOY_NAME "\"\nversion = \"1\"\nsection = \"" TOY_NAME
                  "\"\nprovides = [\"vmsec.Enforcement\", \"vmsec.PeerHandler\"]\nneeds = [\"vmsec.DomainControl\", "
                  "\"vmsec.Interchange\"]\n");
