#include "policy_xml.hpp"

namespace vmsec::kvm {

namespace {

constexpr std::size_t kXmlLimit = std::size_t{1} << 20;

struct FreeText {
  void operator()(xmlChar* text) const { xmlFree(text); }
};
struct FreeParser {
  void operator()(xmlParserCtxt* parser) const { xmlFreeParserCtxt(parser); }
};
using TextPtr = std::unique_ptr<xmlChar, FreeText>;
using ParserPtr = std::unique_ptr<xmlParserCtxt, FreeParser>;

}  // namespace

std::string attribute(const xmlNode* node, const char* name) {
  const TextPtr value(xmlGetNoNsProp(node, reinterpret_cast<const xmlChar*>(name)));
  return std::string(view(value.get()));
}

std::string content(const xmlNode* node) {
  const TextPtr text(xmlNodeGetContent(node));
  return std::string(view(text.get()));
}

const xmlNode* child(const xmlNode* node, std::string_view name) {
  if (node == nullptr) return nullptr;
  for (const xmlNode* each = node->children; each != nullptr; each = each->next)
    if (each->type == XML_ELEMENT_NODE && view(each->name) == name) return each;
  return nullptr;
}

Result<DocumentPtr> parse_policy_xml(std::string_view xml, std::string_view what) {
  const std::string name(what);
  if (xml.size() > kXmlLimit)
    return fail(Code::invalid_argument,
                name + ": " + std::to_string(xml.size()) + " bytes exceed the limit of " + std::to_string(kXmlLimit));
  if (xml.find('\0') != std::string_view::npos) return fail(Code::invalid_argument, name + ": a NUL byte within XML");
  // Refused before the parser sees it: nothing that we read needs one.
  if (xml.find("<!DOCTYPE") != std::string_view::npos || xml.find("<!ENTITY") != std::string_view::npos)
    return fail(Code::denied, name + ": a document type or an entity is declared");
  const ParserPtr parser(xmlNewParserCtxt());
  if (!parser) return fail(Code::internal, name + ": no memory for an XML parser");
  DocumentPtr document(xmlCtxtReadMemory(parser.get(), xml.data(), static_cast<int>(xml.size()), nullptr, nullptr,
                                         XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING));
  if (!document)
    return fail(Code::invalid_argument,
                name + ": no well-formed XML, line " + std::to_string(parser->lastError.line) + ": " +
                    std::string(trimmed(view(reinterpret_cast<const xmlChar*>(
                        parser->lastError.message == nullptr ? "" : parser->lastError.message)))));
  if (document->intSubset != nullptr) return fail(Code::denied, name + ": a document type is declared");
  const std::string_view encoding = view(document->encoding);
  if (!encoding.empty() && encoding != "UTF-8" && encoding != "utf-8")
    return fail(Code::denied, name + ": encoding " + shown(encoding) + " is not UTF-8");
  return document;
}

}  // namespace vmsec::kvm
