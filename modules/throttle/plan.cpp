#include "throttle/plan.hpp"

#include <algorithm>

#include "vmsec/section.hpp"

namespace vmsec::throttle {

namespace {

std::string rate_text(std::uint64_t rate) { return rate == 0 ? "unlimited" : to_text(BytesPerSecond{rate}); }
std::string burst_text(std::uint64_t rate) { return rate == 0 ? "none" : to_text(BytesPerSecond{rate}); }
std::string ops_text(std::uint64_t rate) { return rate == 0 ? "unlimited" : to_text(OpsPerSecond{rate}); }
std::string seconds_text(std::uint64_t seconds) { return seconds == 0 ? "none" : std::to_string(seconds) + " s"; }

bool equal(std::uint64_t is, std::uint64_t wanted) { return is == wanted; }

// A rate and its burst are wanted together or not at all; what a device's own
// table leaves open, the table of all devices decides.
DiskWanted merged(const DiskWanted& own, const DiskWanted& every) {
  DiskWanted out = own;
  if (!own.read) out.read = every.read, out.read_burst = every.read_burst;
  if (!own.write) out.write = every.write, out.write_burst = every.write_burst;
  if (!own.read_ops) out.read_ops = every.read_ops;
  if (!own.write_ops) out.write_ops = every.write_ops;
  if (!own.burst_seconds) out.burst_seconds = every.burst_seconds;
  return out;
}

NicWanted merged(const NicWanted& own, const NicWanted& every) {
  return {own.receive ? own.receive : every.receive, own.transmit ? own.transmit : every.transmit};
}

// What is wanted of a device: its own table, then the table of all.
template <class T>
T wanted_of(const std::map<std::string, T>& tables, const std::string& device) {
  const auto own = tables.find(device);
  const auto every = tables.find(std::string(kEvery));
  return merged(own == tables.end() ? T{} : own->second, every == tables.end() ? T{} : every->second);
}

template <class T, class Devices>
Status devices_exist(const std::map<std::string, T>& tables, const Devices& devices, std::string_view kind) {
  for (const auto& [name, table] : tables) {
    if (name == kEvery) continue;
    if (std::ranges::any_of(devices, [&](const auto& device) { return device.target == name; })) continue;
    std::string have;
    for (const auto& device : devices) have += (have.empty() ? "" : ", ") + device.target;
    return fail(Code::not_found, "there is no " + std::string(kind) + " " + units::quoted(name) + "; it has " +
                                     (have.empty() ? "none" : have));
  }
  return {};
}

// Notes one value that differs, and puts the wanted one in its place.
class Differ {
 public:
  Differ(std::string device, Changes& changes) : device_(std::move(device)), changes_(changes) {}

  template <class Same, class Text>
  void compare(std::string_view key, std::uint64_t& is, const Limit& wanted, Same same, Text text) {
    if (!wanted || same(is, *wanted)) return;
    changes_.changes.push_back({device_ + "." + std::string(key), text(is), text(*wanted)});
    is = *wanted;
    differs_ = true;
  }
  [[nodiscard]] bool differs() const { return differs_; }

 private:
  std::string device_;
  Changes& changes_;
  bool differs_ = false;
};

void plan_disk(Plan& plan, DiskLimit limit, const DiskWanted& wanted) {
  Differ differ(limit.target, plan.changes);
  differ.compare("read", limit.read.value, wanted.read, nearly_equal, rate_text);
  differ.compare("write", limit.write.value, wanted.write, nearly_equal, rate_text);
  differ.compare("read_ops", limit.read_ops.value, wanted.read_ops, equal, ops_text);
  differ.compare("write_ops", limit.write_ops.value, wanted.write_ops, equal, ops_text);
  differ.compare("read_burst", limit.read_burst.value, wanted.read_burst, nearly_equal, burst_text);
  differ.compare("write_burst", limit.write_burst.value, wanted.write_burst, nearly_equal, burst_text);
  // Backends keep a default length even where there is no burst: it means nothing.
  const bool bursts = limit.read_burst.value != 0 || limit.write_burst.value != 0;
  std::uint64_t seconds = limit.burst_seconds;
  if (bursts) differ.compare("burst_seconds", seconds, wanted.burst_seconds, equal, seconds_text);
  limit.burst_seconds = bursts ? static_cast<std::uint32_t>(seconds) : 0;
  if (differ.differs()) plan.disks.push_back(std::move(limit));
}

void plan_nic(Plan& plan, NicLimit limit, const NicWanted& wanted) {
  Differ differ(limit.target, plan.changes);
  differ.compare("receive", limit.receive.value, wanted.receive, nearly_equal, rate_text);
  differ.compare("transmit", limit.transmit.value, wanted.transmit, nearly_equal, rate_text);
  if (differ.differs()) plan.nics.push_back(std::move(limit));
}

}  // namespace

Result<Plan> make_plan(const Wanted& wanted, const IoLimits& is) {
  VMSEC_CHECK(devices_exist(wanted.disks, is.disks, "disk"));
  VMSEC_CHECK(devices_exist(wanted.nics, is.nics, "NIC"));
  Plan plan;
  for (const DiskLimit& limit : is.disks) plan_disk(plan, limit, wanted_of(wanted.disks, limit.target));
  for (const NicLimit& limit : is.nics) plan_nic(plan, limit, wanted_of(wanted.nics, limit.target));
  return plan;
}

}  // namespace vmsec::throttle
