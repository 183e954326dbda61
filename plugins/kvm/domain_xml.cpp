#include "domain_xml.hpp"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>

#include <memory>
#include <mutex>

namespace vmsec::kvm {
namespace {

struct DocFree {
  void operator()(xmlDoc* doc) const { xmlFreeDoc(doc); }
};
struct ContextFree {
  void operator()(xmlParserCtxt* context) const { xmlFreeParserCtxt(context); }
};
struct TextFree {
  void operator()(xmlChar* text) const { xmlFree(text); }
};
using Text = std::unique_ptr<xmlChar, TextFree>;

std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : std::string_view(reinterpret_cast<const char*>(text));
}

bool is(const xmlNode* node, std::string_view name) {
  return node->type == XML_ELEMENT_NODE && view(node->name) == name;
}

const xmlNode* child(const xmlNode* parent, std::string_view name) {
  if (parent == nullptr) return nullptr;
  for (const xmlNode* node = parent->children; node != nullptr; node = node->next) {
    if (is(node, name)) return node;
  }
  return nullptr;
}

std::string attribute(const xmlNode* node, const char* name) {
  if (node == nullptr) return {};
  const Text text(xmlGetNoNsProp(node, reinterpret_cast<const xmlChar*>(name)));
  return std::string(view(text.get()));
}

std::string content(const xmlNode* node) {
  if (node == nullptr) return {};
  const Text text(xmlNodeGetContent(node));
  return std::string(view(text.get()));
}

XmlDisk disk_of(const xmlNode* node) {
  const xmlNode* source = child(node, "source");
  XmlDisk disk;
  disk.target = attribute(child(node, "target"), "dev");
  for (const char* kind : {"file", "dev", "name", "volume", "dir"}) {
    if (disk.source.empty()) disk.source = attribute(source, kind);
  }
  return disk;
}

void read_channel(const xmlNode* node, DomainXml& out) {
  const xmlNode* target = child(node, "target");
  if (attribute(target, "type") != "virtio") return;
  const bool listens = attribute(node, "type") == "unix" && attribute(child(node, "source"), "mode") == "bind";
  out.channels.push_back({attribute(target, "name"), listens ? attribute(child(node, "source"), "path") : ""});
}

void read_devices(const xmlNode* devices, DomainXml& out) {
  if (devices == nullptr) return;
  for (const xmlNode* node = devices->children; node != nullptr; node = node->next) {
    if (is(node, "disk")) {
      XmlDisk disk = disk_of(node);
      if (!disk.target.empty()) out.disks.push_back(std::move(disk));
    } else if (is(node, "interface")) {
      out.nics.push_back({attribute(child(node, "target"), "dev"), attribute(child(node, "mac"), "address")});
    } else if (is(node, "channel")) {
      read_channel(node, out);
    } else if (is(node, "tpm")) {
      out.tpm = true;
    } else if (is(node, "memory")) {
      out.memory_simple = false;
    }
  }
}

void read_memory(const xmlNode* domain, DomainXml& out) {
  const xmlNode* backing = child(domain, "memoryBacking");
  out.memory_source = attribute(child(backing, "source"), "type");
  out.memory_shared = attribute(child(backing, "access"), "mode") == "shared";
  if (child(child(domain, "cpu"), "numa") != nullptr) out.memory_simple = false;
}

// Names separated by white space or commas.
void add_tags(std::string_view text, std::vector<std::string>& out) {
  constexpr std::string_view kSeparators = " \t\r\n,";
  while (true) {
    const std::size_t begin = text.find_first_not_of(kSeparators);
    if (begin == std::string_view::npos) return;
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_of(kSeparators), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// <vmsec:tags>web, dmz</vmsec:tags>, or each in a <vmsec:tag> of its own.
void read_tags(const xmlNode* metadata, std::vector<std::string>& out) {
  if (metadata == nullptr) return;
  for (const xmlNode* node = metadata->children; node != nullptr; node = node->next) {
    if (!is(node, "tags") || node->ns == nullptr || view(node->ns->href) != kTagsNamespace) continue;
    for (const xmlNode* part = node->children; part != nullptr; part = part->next) {
      if (part->type == XML_TEXT_NODE || is(part, "tag")) add_tags(content(part), out);
    }
  }
}

std::unexpected<Error> bad(const std::string& cause) {
  return fail(Code::invalid_argument, "read domain XML: " + cause);
}

}  // namespace

Result<DomainXml> parse_domain_xml(std::string_view xml) {
  static std::once_flag once;
  std::call_once(once, xmlInitParser);
  if (xml.size() > kMaximumDomainXml)
    return bad(std::to_string(xml.size()) + " bytes exceed the limit of " + std::to_string(kMaximumDomainXml));
  const std::unique_ptr<xmlParserCtxt, ContextFree> context(xmlNewParserCtxt());
  if (context == nullptr) return fail(Code::internal, "read domain XML: no memory for a parser");
  const std::unique_ptr<xmlDoc, DocFree> doc(
      xmlCtxtReadMemory(context.get(), xml.data(), static_cast<int>(xml.size()), nullptr, nullptr,
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA));
  if (doc == nullptr) {
    const xmlError* error = xmlCtxtGetLastError(context.get());
    return bad("not well-formed at line " + std::to_string(error == nullptr ? 0 : error->line));
  }
  if (doc->intSubset != nullptr) return bad("a document type is not allowed");
  const xmlNode* domain = xmlDocGetRootElement(doc.get());
  if (domain == nullptr || !is(domain, "domain")) return bad("the root element is not <domain>");
  DomainXml out;
  out.type = attribute(domain, "type");
  out.name = content(child(domain, "name"));
  out.uuid = content(child(domain, "uuid"));
  out.machine = attribute(child(child(domain, "os"), "type"), "machine");
  read_memory(domain, out);
  read_devices(child(domain, "devices"), out);
  read_tags(child(domain, "metadata"), out.tags);
  if (out.name.empty()) return bad("no <name>");
  return out;
}

}  // namespace vmsec::kvm
