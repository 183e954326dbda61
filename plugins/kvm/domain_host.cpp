#include "domain_host.hpp"

#include "policy_xml.hpp"

namespace vmsec::kvm {
namespace {

constexpr std::string_view kWhat = "domain capabilities";

std::string word(const xmlNode* root, std::string_view name) {
  const xmlNode* found = child(root, name);
  return found == nullptr ? std::string() : std::string(trimmed(content(found)));
}

// Whether <enum name='NAME'> below `node` has this value.
bool offers(const xmlNode* node, std::string_view name, std::string_view wanted) {
  for (const xmlNode* list = node == nullptr ? nullptr : node->children; list != nullptr; list = list->next) {
    if (list->type != XML_ELEMENT_NODE || view(list->name) != "enum" || attribute(list, "name") != name) continue;
    for (const xmlNode* value = list->children; value != nullptr; value = value->next)
      if (value->type == XML_ELEMENT_NODE && content(value) == wanted) return true;
  }
  return false;
}

}  // namespace

Result<DomainHost> parse_domain_host(std::string_view capabilities) {
  VMSEC_TRY(const DocumentPtr document, parse_policy_xml(capabilities, kWhat));
  const xmlNode* root = xmlDocGetRootElement(document.get());
  if (root == nullptr || view(root->name) != "domainCapabilities")
    return fail(Code::invalid_argument, std::string(kWhat) + ": the XML's root is not <domainCapabilities>");
  DomainHost host{word(root, "domain"), word(root, "arch"), word(root, "path")};
  host.uefi = offers(child(root, "os"), "firmware", "efi");
  host.tpm = offers(child(child(root, "devices"), "tpm"), "backendModel", "emulator");
  if (host.type != "kvm" && host.type != "qemu")
    return fail(Code::unsupported, std::string(kWhat) + ": domains of type " + shown(host.type) + ", want kvm or qemu");
  if (host.arch != "x86_64")
    return fail(Code::unsupported, std::string(kWhat) + ": processors of type " + shown(host.arch) + ", want x86_64");
  if (host.emulator.empty()) return fail(Code::unsupported, std::string(kWhat) + ": name no emulator");
  return host;
}

}  // namespace vmsec::kvm
