// From a domain file to a definition: what the file says and a definition cannot is a loss with its place.
#include <algorithm>
#include <set>

#include "definition.hpp"
#include "units.hpp"
#include "vmsec/definition.hpp"

namespace vmsec::sim {
namespace {

constexpr const char* kGuests = "what a simulated guest does is no part of a definition";

class SpecReader {
 public:
  explicit SpecReader(const DomainSpec& spec) : spec_(spec) {}

  ExportedDomain read() {
    auto& to = out_.definition;
    to.domain = spec_.uuid;
    to.name = spec_.name;
    to.vcpus = spec_.vcpus;
    to.vcpus_maximum = spec_.vcpus_maximum;
    to.tpm = spec_.tpm;
    memory();
    lose(spec_.seed != 0, "seed", kGuests);
    tags();
    lose(spec_.workload != CpuWorkload{}, "workload", kGuests);
    for (const auto& disk : spec_.disks) add(disk);
    for (std::size_t i = 0; i < spec_.nics.size(); ++i) add(spec_.nics[i], i);
    return std::move(out_);
  }

 private:
  void lose(bool lost, const std::string& place, const std::string& reason) {
    if (lost) out_.losses.push_back({place, reason});
  }

  void memory() {
    const std::uint64_t rest = spec_.memory.value % common::kMebibyte;
    out_.definition.memory.value = spec_.memory.value + (rest == 0 ? 0 : common::kMebibyte - rest);
    lose(rest != 0, "memory", "a definition's is a multiple of 1 MiB: the next one");
  }

  void tags() {
    std::set<std::string_view> seen;
    for (const auto& tag : spec_.tags) {
      const bool carried = definition_detail::is_name(tag, 63) && seen.insert(tag).second;
      if (carried) out_.definition.tags.push_back(tag);
      lose(!carried, "tags", "a definition's tags are names, each once");
    }
  }

  void add(const DiskSpec& disk) {
    const std::string place = "disk." + disk.target + ".";
    const DiskSpec usual;
    lose(disk.read != usual.read, place + "read", kGuests);
    lose(disk.write != usual.write, place + "write", kGuests);
    // The smallest disks have smaller blocks by themselves. A capacity is the file's, and stays with it.
    const bool small = disk.capacity.value != 0 && disk.block == disk.capacity;
    lose(disk.block != usual.block && !small, place + "block", kGuests);
    const std::string target = target_for(disk);
    lose(target != disk.target, place + "target", "a definition's disks are vda to vdz: " + target);
    out_.definition.disks.push_back({target, disk.source, DiskFormat::raw, false});
  }

  // Its own name where a definition can have it; else the first that no other disk has.
  [[nodiscard]] std::string target_for(const DiskSpec& disk) const {
    if (definition_detail::is_target(disk.target)) return disk.target;
    for (char letter = 'a'; letter <= 'z'; ++letter) {
      const std::string target = std::string("vd") + letter;
      if (std::ranges::find(spec_.disks, target, &DiskSpec::target) == spec_.disks.end() &&
          std::ranges::find(out_.definition.disks, target, &DefinedDisk::target) == out_.definition.disks.end())
        return target;
    }
    return disk.target;
  }

  void add(const NicSpec& nic, std::size_t index) {
    const std::string place = "nic." + nic.target + ".";
    lose(nic.target != "nic" + std::to_string(index), place + "target", "a definition's NICs have no names");
    lose(nic.receive.value != 0, place + "receive", kGuests);
    lose(nic.transmit.value != 0, place + "transmit", kGuests);
    out_.definition.nics.push_back({nic.mac, {}});
  }

  const DomainSpec& spec_;
  ExportedDomain out_;
};

}  // namespace

Result<ExportedDomain> from_sim(std::string_view text) {
  VMSEC_TRY(const DomainSpec spec, parse_domain(text, "domain file"));
  ExportedDomain out = SpecReader(spec).read();
  if (const auto flaw = find_flaw(out.definition))
    return fail(Code::unsupported,
                "export " + spec.name + ": no definition has its " + flaw->place + ": " + flaw->message);
  out.format = kSimFormat;
  out.text = text;
  return out;
}

}  // namespace vmsec::sim
