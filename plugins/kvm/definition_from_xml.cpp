#include <charconv>
#include <map>
#include <optional>

#include "definition_losses.hpp"
#include "definition_xml.hpp"
#include "domain_xml.hpp"
#include "policy_xml.hpp"
#include "vmsec/definition.hpp"

namespace vmsec::kvm {
namespace {

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  text = trimmed(text);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::string attribute_of(const xmlNode* node, std::string_view element, const char* name) {
  const xmlNode* found = child(node, element);
  return found == nullptr ? std::string() : attribute(found, name);
}

// Small and without flaws: what is added to it shows by itself whether it may stand in a definition.
DomainDefinition least() {
  DomainDefinition definition;
  definition.domain = Uuid({1});
  definition.name = "x";
  definition.vcpus = 1;
  definition.vcpus_maximum = 1;
  definition.memory.value = 1 << 20;
  return definition;
}

class Exporter {
 public:
  explicit Exporter(const DomainHost& host)
      : host_(host), finder_([this](std::string_view path, const xmlNode* node, const std::string& place) {
          const auto found = readers().find(path.ends_with("/alias") ? "alias" : path);
          return found == readers().end() || (this->*found->second)(node, place);
        }) {}

  Result<ExportedDomain> read(const xmlNode* root, const std::vector<std::string>& tags) {
    tags_ = tags;
    VMSEC_CHECK(identity(root));
    finder_.walk(root);
    finish();
    if (finder_.too_many())
      return fail(Code::limit_exceeded,
                  "domain: more than " + std::to_string(kMaximumLosses) + " places that no definition can say");
    return ExportedDomain{out_, finder_.take(), std::string(kXmlFormat), {}};
  }

 private:
  // Of an element that has a rule; false: all of it is dealt with.
  using Reader = bool (Exporter::*)(const xmlNode*, const std::string&);

  static const std::map<std::string_view, Reader>& readers() {
    static const std::map<std::string_view, Reader> kReaders = {
        {"domain/name", &Exporter::name},
        {"domain/metadata", &Exporter::metadata},
        {"domain/memory", &Exporter::memory},
        {"domain/currentMemory", &Exporter::current_memory},
        {"domain/vcpu", &Exporter::vcpu},
        {"domain/vcpus/vcpu", &Exporter::one_vcpu},
        {"domain/os", &Exporter::os},
        {"domain/os/type", &Exporter::os_type},
        {"domain/devices/emulator", &Exporter::emulator},
        {"domain/devices/disk", &Exporter::disk},
        {"domain/devices/interface", &Exporter::nic},
        {"domain/devices/tpm", &Exporter::tpm},
        {"alias", &Exporter::alias},
    };
    return kReaders;
  }

  // Sets what may stand in a definition; loses the rest.
  template <class Set>
  bool keep(const std::string& place, const Set& set) {
    DomainDefinition tried = sound_;
    set(tried);
    if (const auto flaw = find_flaw(tried)) {
      finder_.lose(place, flaw->place + ": " + flaw->message);
      return false;
    }
    sound_ = std::move(tried);
    set(out_);
    return true;
  }

  Status identity(const xmlNode* root) {
    const xmlNode* uuid = child(root, "uuid");
    const auto parsed = Uuid::parse(uuid == nullptr ? std::string() : std::string(trimmed(content(uuid))));
    if (!parsed || parsed->is_nil()) return fail(Code::invalid_argument, "domain: no <uuid> that names it");
    out_.domain = *parsed;
    if (child(root, "memory") == nullptr) return fail(Code::invalid_argument, "domain: no <memory>");
    if (child(root, "vcpu") == nullptr) return fail(Code::invalid_argument, "domain: no <vcpu>");
    if (child(root, "os") == nullptr) return fail(Code::invalid_argument, "domain: no <os>");
    if (child(root, "devices") == nullptr) return fail(Code::invalid_argument, "domain: no <devices>");
    return {};
  }

  bool name(const xmlNode* node, const std::string& place) {
    keep(place, [name = content(node)](DomainDefinition& to) { to.name = name; });
    return true;
  }

  bool memory(const xmlNode* node, const std::string& place) {
    const auto kib = number_of(content(node));
    if (attribute(node, "unit") != "KiB" || !kib || *kib > UINT64_MAX / 1024) {
      finder_.lose(place, "is no number of KiB, as libvirt writes it");
      return false;
    }
    memory_kib_ = *kib;
    keep(place, [&](DomainDefinition& to) { to.memory.value = *kib * 1024; });
    return true;
  }

  bool current_memory(const xmlNode* node, const std::string& place) {
    const auto kib = number_of(content(node));
    if (!kib || kib != memory_kib_) finder_.lose(place, "is another size than <memory>: a balloon");
    return true;
  }

  bool vcpu(const xmlNode* node, const std::string& place) {
    const auto maximum = number_of(content(node));
    const std::string current = attribute(node, "current");
    const auto now = current.empty() ? maximum : number_of(current);
    if (!maximum || !now || *maximum > UINT32_MAX || *now > UINT32_MAX) {
      finder_.lose(place, "is no number of vCPUs");
      return true;
    }
    keep(place, [&](DomainDefinition& to) {
      to.vcpus = static_cast<std::uint32_t>(*now);
      to.vcpus_maximum = static_cast<std::uint32_t>(*maximum);
    });
    return true;
  }

  // libvirt lists them once one was plugged. Those with the lowest numbers are there at start.
  bool one_vcpu(const xmlNode* node, const std::string& place) {
    const auto id = number_of(attribute(node, "id"));
    const bool enabled = attribute(node, "enabled") == "yes";
    if (!id || enabled != (*id < out_.vcpus)) finder_.lose(place, "is not among the first, or missing there");
    return true;
  }

  bool metadata(const xmlNode* node, const std::string& place) {
    for (const xmlNode* each = node->children; each != nullptr; each = each->next)
      if (each->type == XML_ELEMENT_NODE) one_metadata(each, place + "/" + std::string(view(each->name)));
    return false;
  }

  void one_metadata(const xmlNode* node, const std::string& place) {
    const std::string_view space = node->ns == nullptr ? std::string_view() : view(node->ns->href);
    if (view(node->name) == "tags" && space == kTagsNamespace) {
      read_tags(node, place);
    } else if (view(node->name) == "definition" && space == kDefinitionNamespace) {
      said_in_metadata(node, place);
    } else {
      finder_.lose(place.substr(0, 2 * kShownLimit), "no definition says it");
    }
  }

  void read_tags(const xmlNode* node, const std::string& place) {
    bool plain = node->properties == nullptr;
    for (const xmlNode* each = node->children; each != nullptr; each = each->next)
      if (each->type == XML_ELEMENT_NODE)
        plain = plain && view(each->name) == "tag" && each->properties == nullptr && child_elements(each) == 0;
    if (!plain) finder_.lose(place, "holds more than names");
    for (const auto& tag : tags_)
      if (!keep(place, [&](DomainDefinition& to) { to.tags.push_back(tag); })) break;
    tags_.clear();
  }

  static int child_elements(const xmlNode* node) {
    int count = 0;
    for (const xmlNode* each = node->children; each != nullptr; each = each->next)
      if (each->type == XML_ELEMENT_NODE) ++count;
    return count;
  }

  void said_in_metadata(const xmlNode* node, const std::string& place) {
    for (const xmlAttr* attr = node->properties; attr != nullptr; attr = attr->next) {
      const std::string_view name = view(attr->name);
      const std::string value = attribute(node, std::string(name).c_str());
      if (name == "guest" && value == "hvm") {
        out_.guest = GuestKind::hvm;
      } else if (name == "firmware" && value == "bios") {
        bios_place_ = place;
      } else {
        finder_.lose(place, "says what vmsec does not write there");
      }
    }
    if (node->children != nullptr) finder_.lose(place, "says what vmsec does not write there");
  }

  bool os(const xmlNode* node, const std::string& place) {
    const auto text = [&](std::string_view element) {
      const xmlNode* found = child(node, element);
      return found == nullptr ? std::string() : content(found);
    };
    keep(place + "/kernel", [&](DomainDefinition& to) { to.boot.kernel = text("kernel"); });
    keep(place + "/initrd", [&](DomainDefinition& to) { to.boot.initrd = text("initrd"); });
    keep(place + "/cmdline", [&](DomainDefinition& to) { to.boot.command_line = text("cmdline"); });
    const bool efi = attribute(node, "firmware") == "efi" || attribute_of(node, "loader", "type") == "pflash";
    if (!efi) return true;
    keep(place + "/@firmware", [](DomainDefinition& to) { to.boot.firmware = Firmware::uefi; });
    if (!forbids_secure_boot(node))
      finder_.lose(place + "/firmware", "libvirt may choose one with secure boot; a definition's domain has none");
    return true;
  }

  static bool forbids_secure_boot(const xmlNode* os) {
    const xmlNode* firmware = child(os, "firmware");
    for (const xmlNode* each = firmware == nullptr ? nullptr : firmware->children; each != nullptr; each = each->next)
      if (each->type == XML_ELEMENT_NODE && attribute(each, "name") == "secure-boot" &&
          attribute(each, "enabled") == "no")
        return true;
    return false;
  }

  bool os_type(const xmlNode* node, const std::string& place) {
    const std::string machine = attribute(node, "machine");
    if (machine != kMachine && !machine.starts_with("pc-" + std::string(kMachine) + "-"))
      finder_.lose(place + "/@machine", "is " + shown(machine) + "; a definition's domain has " + shown(kMachine));
    const std::string arch = attribute(node, "arch");
    if (arch != host_.arch) finder_.lose(place + "/@arch", "is " + shown(arch) + ", not this host's");
    return true;
  }

  bool emulator(const xmlNode* node, const std::string& place) {
    const std::string path(trimmed(content(node)));
    if (path != host_.emulator)
      finder_.lose(place, "is " + shown(path) + ", not this host's usual " + shown(host_.emulator));
    return true;
  }

  // A disk that a definition has no words for is lost as a whole.
  bool disk(const xmlNode* node, const std::string& place) {
    const std::string type = attribute(node, "type");
    const std::string kind = attribute(node, "device");
    if (!kind.empty() && kind != "disk") return drop(place, "is a " + shown(kind));
    if (type != "file" && type != "block") return drop(place, "is of type " + shown(type) + ", no file and no device");
    if (attribute_of(node, "target", "bus") != "virtio")
      return drop(place, "is on bus " + shown(attribute_of(node, "target", "bus")) + "; a definition's is virtio");
    const std::string format = attribute_of(node, "driver", "type");
    if (!format.empty() && format != "raw" && format != "qcow2") return drop(place, "has format " + shown(format));
    DefinedDisk disk;
    disk.target = attribute_of(node, "target", "dev");
    disk.source = attribute_of(node, "source", type == "block" ? "dev" : "file");
    disk.format = format == "qcow2" ? DiskFormat::qcow2 : DiskFormat::raw;
    disk.read_only = child(node, "readonly") != nullptr;
    if (!keep(place, [&](DomainDefinition& to) { to.disks.push_back(disk); })) return false;
    if (is_device_path(disk.source) != (type == "block"))
      finder_.lose(place + "/@type", "is " + shown(type) + ", which " + shown(disk.source) + " does not look like");
    if (!attribute_of(node, "source", type == "block" ? "file" : "dev").empty())
      finder_.lose(place + "/source", "names two");
    if (out_.disks.size() > 1 && out_.disks[out_.disks.size() - 2].target > disk.target)
      finder_.lose(place, "is not in the order of the targets");
    return true;
  }

  bool drop(const std::string& place, const std::string& reason) {
    finder_.lose(place, reason);
    return false;
  }

  // A NIC stays, without what it was connected to, where a definition has no words for that.
  bool nic(const xmlNode* node, const std::string& place) {
    const std::string type = attribute(node, "type");
    DefinedNic nic;
    nic.mac = attribute_of(node, "mac", "address");
    if (type == "bridge") nic.bridge = attribute_of(node, "source", "bridge");
    if (!keep(place, [&](DomainDefinition& to) { to.nics.push_back(nic); })) return false;
    const std::string model = attribute_of(node, "model", "type");
    if (model.empty()) finder_.lose(place + "/model", "is not said; a definition's domain has \"virtio\"");
    if (type == "ethernet" && child(node, "source") != nullptr)
      finder_.lose(place + "/source", "no definition says it");
    if (type == "bridge" && nic.bridge.empty()) finder_.lose(place + "/source", "names no bridge");
    const std::string target = attribute_of(node, "target", "dev");
    // libvirt's own names: it leaves them out where the domain does not run.
    if (!target.empty() && !target.starts_with("vnet")) finder_.lose(place + "/target", "is a device of its own name");
    nic_link(node, type, place);
    return true;
  }

  void nic_link(const xmlNode* node, const std::string& type, const std::string& place) {
    const std::string state = attribute_of(node, "link", "state");
    if (type == "bridge" && !state.empty() && state != "up")
      finder_.lose(place + "/link", "is down; a definition's bridge is connected");
    if (type == "ethernet" && state != "down")
      finder_.lose(place + "/link", "is not down: a tap that something else of the host may connect");
  }

  bool tpm(const xmlNode* node, const std::string& place) {
    if (child(node, "backend") == nullptr) return drop(place, "has no backend");
    out_.tpm = true;
    return true;
  }

  // What begins so was chosen by somebody; the others are libvirt's own.
  bool alias(const xmlNode* node, const std::string& place) {
    if (attribute(node, "name").starts_with("ua-")) finder_.lose(place, "is a name of its own");
    return true;
  }

  void finish() {
    if (bios_place_.empty()) return;
    if (out_.boot.firmware == Firmware::none && out_.boot.kernel.empty())
      out_.boot.firmware = Firmware::bios;
    else
      finder_.lose(bios_place_, "says bios, and the domain boots otherwise");
  }

  const DomainHost& host_;
  LossFinder finder_;
  std::vector<std::string> tags_;
  DomainDefinition sound_ = least();
  DomainDefinition out_;
  std::optional<std::uint64_t> memory_kib_;
  std::string bios_place_;
};

}  // namespace

Result<ExportedDomain> from_libvirt_xml(std::string_view xml, const DomainHost& host) {
  VMSEC_TRY(const DocumentPtr document, parse_policy_xml(xml, "domain"));
  const xmlNode* root = xmlDocGetRootElement(document.get());
  if (root == nullptr || view(root->name) != "domain")
    return fail(Code::invalid_argument, "domain: the XML's root is not <domain>");
  VMSEC_TRY(const DomainXml read, parse_domain_xml(xml));
  VMSEC_TRY(ExportedDomain out, Exporter(host).read(root, read.tags));
  out.text = xml;
  return out;
}

}  // namespace vmsec::kvm
