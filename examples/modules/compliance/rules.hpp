// The rules that a domain may be held to. Each looks at what is in force, read back from
// the hypervisor.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <vmsec/capability/io_control.hpp>
#include <vmsec/capability/resource_control.hpp>
#include <vmsec/units.hpp>

namespace compliance {

struct Facts {
  vmsec::DomainInfo info;
  vmsec::ResourceLimits resources;
  vmsec::IoLimits io;
};

struct Judgement {
  bool holds = false;
  std::string because;  // what decided: "cpu_quota is unlimited"
};

struct Rule {
  std::string_view name;
  Judgement (*judge)(const Facts&);
};

inline Judgement cpu_limited(const Facts& facts) {
  const auto quota = facts.resources.cpu_quota_millis.value_or(0);
  if (quota == 0) return {false, "cpu_quota is unlimited"};
  return {true, "cpu_quota is " + vmsec::to_text(vmsec::PerMille{quota})};
}

inline Judgement memory_limited(const Facts& facts) {
  const auto limit = facts.resources.memory_limit.value_or(vmsec::Bytes{});
  if (limit.value == 0) return {false, "memory_limit is unlimited"};
  return {true, "memory_limit is " + vmsec::to_text(limit)};
}

inline Judgement vcpus_pinned(const Facts& facts) {
  const auto free = std::ranges::count_if(facts.resources.pins, [](const auto& pin) { return pin.cpus.empty(); });
  const auto known = facts.resources.pins.size();
  if (known < facts.info.vcpus) return {false, std::to_string(facts.info.vcpus - known) + " vCPUs have no pin"};
  if (free != 0) return {false, std::to_string(free) + " vCPUs may run on every CPU"};
  return {true, "each of its " + std::to_string(known) + " vCPUs is pinned"};
}

inline Judgement disks_limited(const Facts& facts) {
  for (const auto& disk : facts.io.disks) {
    if (disk.read.value == 0 && disk.read_ops.value == 0) return {false, disk.target + ": read is unlimited"};
    if (disk.write.value == 0 && disk.write_ops.value == 0) return {false, disk.target + ": write is unlimited"};
  }
  return {true, "each of its " + std::to_string(facts.io.disks.size()) + " disks has limits"};
}

inline Judgement nics_limited(const Facts& facts) {
  for (const auto& nic : facts.io.nics) {
    if (nic.receive.value == 0) return {false, nic.target + ": receive is unlimited"};
    if (nic.transmit.value == 0) return {false, nic.target + ": transmit is unlimited"};
  }
  return {true, "each of its " + std::to_string(facts.io.nics.size()) + " NICs has limits"};
}

inline Judgement has_tpm(const Facts& facts) {
  return {facts.info.tpm, facts.info.tpm ? "it has a virtual TPM" : "it has no virtual TPM"};
}

inline Judgement is_persistent(const Facts& facts) {
  return {facts.info.persistent, facts.info.persistent ? "it is defined" : "nothing defines it: it ends with its run"};
}

inline Judgement is_tagged(const Facts& facts) {
  if (facts.info.tags.empty()) return {false, "it has no tag"};
  return {true, "its first tag is \"" + facts.info.tags.front() + "\""};
}

inline constexpr std::array kRules = {Rule{"cpu_limited", cpu_limited},     Rule{"memory_limited", memory_limited},
                                      Rule{"vcpus_pinned", vcpus_pinned},   Rule{"disks_limited", disks_limited},
                                      Rule{"nics_limited", nics_limited},   Rule{"has_tpm", has_tpm},
                                      Rule{"is_persistent", is_persistent}, Rule{"is_tagged", is_tagged}};

}  // namespace compliance
