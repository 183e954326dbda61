#include "definitions.hpp"

#include <array>

namespace vmsec::conformance {
namespace {

Uuid uuid_of(unsigned number) {
  std::array<std::uint8_t, 16> bytes{0xc0, 0x4f, 0, 0, 0, 0, 0x40, 0, 0x80};
  bytes.back() = static_cast<std::uint8_t>(number);
  return Uuid(bytes);
}

std::string mac_of(unsigned number) { return "52:54:00:c0:4f:0" + std::to_string(number % 10); }

}  // namespace

DomainDefinition new_definition(const Fixture& fixture, unsigned number) {
  const NewDomains& with = fixture.setup().fresh;
  DomainDefinition out;
  out.domain = uuid_of(number);
  out.name = "conf-new-" + std::to_string(number);
  out.vcpus = 2;
  out.vcpus_maximum = 2;
  out.memory = {std::uint64_t{with.memory_mib} << 20};
  out.disks = {{"vda", with.disks.at(0), DiskFormat::raw, false}};
  out.nics = {{mac_of(number), with.bridge}};
  out.boot = {Firmware::none, with.kernel, with.initrd, with.command_line};
  out.tags = {"conformance"};
  return out;
}

DomainDefinition rich_definition(const Fixture& fixture, unsigned number) {
  DomainDefinition out = new_definition(fixture, number);
  out.guest = GuestKind::pv;
  out.vcpus_maximum = 3;
  out.disks.push_back({"vdb", fixture.setup().fresh.disks.at(1), DiskFormat::qcow2, true});
  out.tpm = true;
  return out;
}

Result<DomainDefinition> plain(Fixture& fixture, const DomainDefinition& definition) {
  VMSEC_TRY(const auto translation, fixture.open_a<Interchange>()->translate(definition));
  std::string unknown;
  DomainDefinition out = lessened(definition, translation.losses, unknown);
  if (!unknown.empty()) return fail(Code::internal, "a loss at " + unknown + ", which cannot be left out");
  return out;
}

Status destroy(Control& host, const Uuid& domain) {
  VMSEC_CHECK(host.open<DomainControl>()->pause({domain}));
  VMSEC_CHECK(host.open<Migration>()->discard({*Uuid::parse("c04f0000-0000-4000-8000-00000000dead"), domain}));
  return {};
}

Defined::~Defined() {
  Control& host = fixture_.host();
  const auto info = host.open<DomainControl>()->get({domain_});
  if (!info) return;
  if (!host.open<Interchange>()->undefine({domain_})) (void)destroy(host, domain_);
}

bool is_there(Fixture& fixture, const Uuid& domain) {
  const auto info = fixture.open_a<DomainControl>()->get({domain});
  return info || info.error().code != Code::not_found;
}

}  // namespace vmsec::conformance
