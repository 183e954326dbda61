// io_anomaly: learns how fast each VM's disks and NICs usually move, and says when that changes.
#include <chrono>
#include <condition_variable>
#include <set>
#include <thread>
#include <vmsec/module.hpp>
#include <vmsec/section.hpp>
#include <vmsec/service/journal.hpp>

#include "watch.hpp"

namespace io_anomaly {
namespace {

using namespace vmsec;
using Clock = std::chrono::steady_clock;

struct Configured {
  Rule rule;
  std::chrono::microseconds interval = std::chrono::seconds(1);
};

Status read_configured(const Settings& settings, Configured& configured) {
  return no_findings(read_section(settings, [&](const Setting& setting, const SettingPath& path) -> Status {
    if (path == SettingPath{"window"}) {
      VMSEC_TRY(configured.rule.window, integer_of(setting, 5, 10'000));
    } else if (path == SettingPath{"factor"}) {
      VMSEC_TRY(configured.rule.factor, integer_of(setting, 2, 1000));
    } else if (path == SettingPath{"interval"}) {
      VMSEC_TRY(const std::uint64_t interval, limit_of(setting, units::kTime));
      if (interval < 50'000 || interval > 3'600'000'000) return fail(Code::invalid_argument, "want 50 ms to 1 h");
      configured.interval = std::chrono::microseconds(interval);
    } else {
      return unknown_key("window, factor or interval");
    }
    return {};
  }));
}

class IoAnomaly final : public Inspection {
 public:
  static Result<std::unique_ptr<IoAnomaly>> create(const HostLink& host, const Settings& settings) {
    auto module = std::make_unique<IoAnomaly>();
    VMSEC_CHECK(read_configured(settings, module->configured_));
    VMSEC_TRY(module->io_, host.open<IoControl>());
    VMSEC_TRY(module->domains_, host.open<DomainControl>());
    VMSEC_TRY(module->journal_, host.open<Journal>());
    module->sampler_ = std::jthread([&module = *module](const std::stop_token& stop) { module.sample(stop); });
    return module;
  }

  Result<Endpoint*> endpoint(std::string_view name) {
    if (name == endpoint_.interface_name()) return &endpoint_;
    return fail(Code::not_found, "io_anomaly provides no " + std::string(name));
  }

  Result<InspectionReport> inspect(const InspectionTarget& target) override {
    if (!target.wanted.settings.empty())
      return fail(Code::invalid_argument, "io_anomaly: it has settings in the host's configuration only");
    VMSEC_CHECK(domains_->get({target.domain}));  // the policy's word on who is asked about
    const std::lock_guard lock(mutex_);
    const auto watch = watches_.find(target.domain);
    const std::size_t samples = watch == watches_.end() ? 0 : watch->second.samples();
    if (watch == watches_.end() || !watch->second.knows())
      return fail(Code::unavailable, "io_anomaly: it does not know yet what is usual: " + std::to_string(samples) +
                                         " samples, and it learns from " + std::to_string(configured_.rule.window + 1));
    return watch->second.report();
  }

 private:
  void sample(const std::stop_token& stop) {
    auto last = Clock::now();
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, stop, configured_.interval, [&] { return stop.stop_requested(); })) {
      lock.unlock();
      const auto now = Clock::now();
      sample_all(std::chrono::duration<double>(now - std::exchange(last, now)).count());
      lock.lock();
    }
  }

  // The lock is not held while the host is called.
  void sample_all(double seconds) {
    const auto list = domains_->list({});
    if (!list) return;  // tried again at the next sample; what goes on is said by the host
    std::set<Uuid> there;
    for (const DomainInfo& domain : list->domains)
      if (there.insert(domain.domain).second) sample_one(domain, seconds);
    const std::lock_guard lock(mutex_);
    std::erase_if(watches_, [&](const auto& each) { return !there.contains(each.first); });
    std::erase_if(refused_, [&](const Uuid& each) { return !there.contains(each); });
  }

  void sample_one(const DomainInfo& domain, double seconds) {
    if (refused_.contains(domain.domain)) return;
    const auto now = io_->statistics({domain.domain});
    // Each refusal is a record in the host's audit log: once is enough.
    if (!now && family(now.error().code) == Family::security) refused_.insert(domain.domain);
    std::vector<Observation> news;
    {
      const std::lock_guard lock(mutex_);
      if (!now) {
        watches_.erase(domain.domain);
        return;
      }
      news = watches_.try_emplace(domain.domain, configured_.rule).first->second.add(*now, seconds);
    }
    for (const Observation& each : news)
      (void)journal_->audit(
          {"io_anomaly.deviation", Outcome::succeeded, domain.domain, {}, each.subject + ": " + each.message});
  }

  Configured configured_;
  std::unique_ptr<IoControl> io_;
  std::unique_ptr<DomainControl> domains_;
  std::unique_ptr<Journal> journal_;
  EndpointOf<Inspection> endpoint_{*this};
  std::mutex mutex_;  // of what follows
  std::condition_variable_any wake_;
  std::map<Uuid, Watch> watches_;
  std::set<Uuid> refused_;  // the sampler's own
  std::jthread sampler_;    // last: it ends before what it uses
};

}  // namespace
}  // namespace io_anomaly

VMSEC_MODULE(io_anomaly::IoAnomaly, R"(
name = "io_anomaly"
version = "0.1"
summary = "Notices when a VM's disks and NICs move otherwise than usual"
provides = ["vmsec.Inspection"]
needs = ["vmsec.IoControl", "vmsec.DomainControl", "vmsec.Journal"]
)");
