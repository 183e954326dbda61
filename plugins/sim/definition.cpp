#include "definition.hpp"

namespace vmsec::sim {
namespace {

class Losses {
 public:
  void add(bool lost, std::string place, std::string reason) {
    if (lost) losses_.push_back({std::move(place), std::move(reason)});
  }
  std::vector<Loss> take() { return std::move(losses_); }

 private:
  std::vector<Loss> losses_;
};

std::vector<Loss> losses_of(const DomainDefinition& definition) {
  Losses out;
  out.add(definition.guest != GuestKind::usual, "guest", "a simulated guest is of no kind");
  for (const auto& disk : definition.disks) {
    out.add(disk.format != DiskFormat::raw, "disk." + disk.target + ".format", "a simulated disk is a raw file");
    out.add(disk.read_only, "disk." + disk.target + ".read_only", "a simulated disk can be written to");
  }
  for (std::size_t i = 0; i < definition.nics.size(); ++i)
    out.add(!definition.nics[i].bridge.empty(), "nic." + std::to_string(i) + ".bridge",
            "a simulated NIC is connected to nothing");
  out.add(definition.boot != Boot{}, "boot", "a simulated domain boots nothing");
  return out.take();
}

}  // namespace

DomainSpec spec_of(const DomainDefinition& definition) {
  DomainSpec spec;
  spec.uuid = definition.domain;
  spec.name = definition.name;
  spec.memory = definition.memory;
  spec.vcpus = definition.vcpus;
  spec.vcpus_maximum = definition.vcpus_maximum;
  spec.tpm = definition.tpm;
  spec.tags = definition.tags;
  for (const auto& disk : definition.disks) {
    DiskSpec& added = spec.disks.emplace_back();
    added.target = disk.target;
    added.source = disk.source;
  }
  for (std::size_t i = 0; i < definition.nics.size(); ++i) {
    NicSpec& added = spec.nics.emplace_back();
    added.target = "nic" + std::to_string(i);
    added.mac = definition.nics[i].mac;
  }
  return spec;
}

Translation to_sim(const DomainDefinition& definition) {
  return {std::string(kSimFormat), write_domain(spec_of(definition)), losses_of(definition)};
}

}  // namespace vmsec::sim
