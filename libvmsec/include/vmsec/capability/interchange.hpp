// Interchange: one definition of a domain for every hypervisor, and what each cannot say of it.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec {

// How the guest is virtualised. `usual` is what the hypervisor takes by itself: hvm on KVM, pvh on Xen.
enum class GuestKind : std::uint32_t {
  usual = 0,
  hvm = 1,  // a whole PC
  pv = 2,   // Xen's paravirtualisation, without hardware support
  pvh = 3,  // hardware support, no PC around it
};

enum class Firmware : std::uint32_t {
  none = 0,  // the kernel is loaded by the hypervisor; `usual` where there is no kernel
  bios = 1,
  uefi = 2,
};

enum class DiskFormat : std::uint32_t {
  raw = 0,
  qcow2 = 1,
};

struct DefinedDisk {
  // On the guest's paravirtual bus: "vda", "vdb". The guest's own name for it is its driver's: /dev/vda
  // by virtio, /dev/xvda by xen-blkfront.
  std::string target;
  std::string source;  // file or block device on the host: an absolute path
  DiskFormat format = DiskFormat::raw;
  bool read_only = false;
  static constexpr std::string_view kMessage = "vmsec.DefinedDisk";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "target", &DefinedDisk::target), wire::field(2, "source", &DefinedDisk::source),
                        wire::field(3, "format", &DefinedDisk::format),
                        wire::field(4, "read_only", &DefinedDisk::read_only));
  }
  friend bool operator==(const DefinedDisk&, const DefinedDisk&) = default;
};

struct DefinedNic {
  std::string mac;     // lower case, by colons
  std::string bridge;  // of the host; empty: the NIC is connected to nothing
  static constexpr std::string_view kMessage = "vmsec.DefinedNic";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "mac", &DefinedNic::mac), wire::field(2, "bridge", &DefinedNic::bridge));
  }
  friend bool operator==(const DefinedNic&, const DefinedNic&) = default;
};

// A kernel that the hypervisor loads, or the firmware that looks for one on the first disk.
struct Boot {
  Firmware firmware = Firmware::none;
  std::string kernel;  // absolute paths on the host
  std::string initrd;
  std::string command_line;
  static constexpr std::string_view kMessage = "vmsec.Boot";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "firmware", &Boot::firmware), wire::field(2, "kernel", &Boot::kernel),
                        wire::field(3, "initrd", &Boot::initrd), wire::field(4, "command_line", &Boot::command_line));
  }
  friend bool operator==(const Boot&, const Boot&) = default;
};

struct DomainDefinition {
  Uuid domain;
  std::string name;
  GuestKind guest = GuestKind::usual;
  std::uint32_t vcpus = 0;          // at start; at least 1
  std::uint32_t vcpus_maximum = 0;  // at least `vcpus`
  Bytes memory;                     // a multiple of 1 MiB
  std::vector<DefinedDisk> disks;
  std::vector<DefinedNic> nics;
  Boot boot;
  bool tpm = false;  // a virtual TPM 2.0
  std::vector<std::string> tags;
  static constexpr std::string_view kMessage = "vmsec.DomainDefinition";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "domain", &DomainDefinition::domain), wire::field(2, "name", &DomainDefinition::name),
        wire::field(3, "guest", &DomainDefinition::guest), wire::field(4, "vcpus", &DomainDefinition::vcpus),
        wire::field(5, "vcpus_maximum", &DomainDefinition::vcpus_maximum),
        wire::field(6, "memory", &DomainDefinition::memory), wire::field(7, "disks", &DomainDefinition::disks),
        wire::field(8, "nics", &DomainDefinition::nics), wire::field(9, "boot", &DomainDefinition::boot),
        wire::field(10, "tpm", &DomainDefinition::tpm), wire::field(11, "tags", &DomainDefinition::tags));
  }
  friend bool operator==(const DomainDefinition&, const DomainDefinition&) = default;
};

// Something that a translation leaves out. `place` is the definition's, or the hypervisor's own, as the
// direction has it: "boot.kernel", "disk.vda.read_only"; "/domain/devices/sound", "c_info.xsm".
struct Loss {
  std::string place;
  std::string reason;
  static constexpr std::string_view kMessage = "vmsec.Loss";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "place", &Loss::place), wire::field(2, "reason", &Loss::reason));
  }
  friend bool operator==(const Loss&, const Loss&) = default;
};

struct Translation {
  std::string format;  // "libvirt-xml", "libxl-json", "sim-toml"
  std::string text;
  std::vector<Loss> losses;  // places of the definition, in its order
  static constexpr std::string_view kMessage = "vmsec.Translation";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "format", &Translation::format), wire::field(2, "text", &Translation::text),
                        wire::field(3, "losses", &Translation::losses));
  }
};

struct ExportedDomain {
  DomainDefinition definition;
  std::vector<Loss> losses;  // places of `text`
  std::string format;        // as Translation's
  std::string text;          // the hypervisor's own configuration, which the definition was made of
  static constexpr std::string_view kMessage = "vmsec.ExportedDomain";
  static constexpr auto fields() {
    return wire::fields(
        wire::field(1, "definition", &ExportedDomain::definition), wire::field(2, "losses", &ExportedDomain::losses),
        wire::field(3, "format", &ExportedDomain::format), wire::field(4, "text", &ExportedDomain::text));
  }
};

struct DefineDomain {
  Uuid domain;  // must be the definition's
  DomainDefinition definition;
  std::vector<std::string> without;  // places that may be lost: exactly those that translate() names
  static constexpr std::string_view kMessage = "vmsec.DefineDomain";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "domain", &DefineDomain::domain),
                        wire::field(2, "definition", &DefineDomain::definition),
                        wire::field(3, "without", &DefineDomain::without));
  }
};

// For who operates the host: a definition decides which files a guest opens, so the Host gives this to no
// module. Any thread may call at any time. Errors beside DomainControl's: `invalid_argument` for a
// definition that is none (the message names the place).
class Interchange {
 public:
  virtual ~Interchange() = default;
  // What define() would hand to the hypervisor, and what of the definition it cannot say. Changes
  // nothing; needs nothing on the host but the backend.
  virtual Result<Translation> translate(const DomainDefinition&) = 0;
  // A new domain, which does not run: shut_off, or paused where the hypervisor keeps no domain that is
  // not built (libxl). `unsupported`, with each place and reason, for a loss that `without` does not
  // name; `invalid_argument` for a name in `without` that is no loss; `already_exists` for a UUID or a
  // name that is taken; `not_found` for a file or a bridge that is not on this host. After a failure
  // there is no such domain. Told as domain_defined; where a defined domain is built, as domain_started.
  virtual Result<DomainRef> define(const DefineDomain&) = 0;
  // Starts what define() left: `wrong_state` for a domain that runs, or was paused after it ran.
  virtual Result<Empty> start(const DomainRef&) = 0;
  // Forgets a domain that has no memory that could be lost: shut off, or built and never run. Its disks
  // stay. `wrong_state` otherwise. Told as domain_undefined.
  virtual Result<Empty> undefine(const DomainRef&) = 0;
  // The definition of a domain, and what of it no definition can say. With no losses, define()
  // elsewhere of what this gives makes the same domain.
  virtual Result<ExportedDomain> export_domain(const DomainRef&) = 0;
};

template <>
struct Methods<Interchange> {
  static constexpr std::string_view kName = "vmsec.Interchange";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Translate", &Interchange::translate), method(2, "Define", &Interchange::define),
                           method(3, "Start", &Interchange::start), method(4, "Undefine", &Interchange::undefine),
                           method(5, "Export", &Interchange::export_domain));
  }
};

template <>
class Proxy<Interchange> final : public Remote<Interchange> {
 public:
  using Remote::Remote;
  Result<Translation> translate(const DomainDefinition& r) override { return invoke<1>(r); }
  Result<DomainRef> define(const DefineDomain& r) override { return invoke<2>(r); }
  Result<Empty> start(const DomainRef& r) override { return invoke<3>(r); }
  Result<Empty> undefine(const DomainRef& r) override { return invoke<4>(r); }
  Result<ExportedDomain> export_domain(const DomainRef& r) override { return invoke<5>(r); }
};

}  // namespace vmsec
