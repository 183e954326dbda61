// XML from a peer, read so that its check and libvirt see the same.
#pragma once

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <memory>
#include <string>
#include <string_view>

#include "text.hpp"
#include "vmsec/result.hpp"

namespace vmsec::kvm {

struct FreeDocument {
  void operator()(xmlDoc* document) const { xmlFreeDoc(document); }
};
using DocumentPtr = std::unique_ptr<xmlDoc, FreeDocument>;

// Refuses document types, entities, other encodings than UTF-8, and NUL; `what`
// names it in messages.
Result<DocumentPtr> parse_policy_xml(std::string_view xml, std::string_view what);

inline std::string_view view(const xmlChar* text) {
  return text == nullptr ? std::string_view() : reinterpret_cast<const char*>(text);
}
// Empty where the element has none.
std::string attribute(const xmlNode* node, const char* name);
// The element's text, with that of the elements below.
std::string content(const xmlNode* node);
// The first element of this name below `node`; null where there is none, or no `node`.
const xmlNode* child(const xmlNode* node, std::string_view name);

using common::kShownLimit;
using common::shown;
using common::trimmed;

}  // namespace vmsec::kvm
