// XML from a peer, read so that its check and libvirt see the same.
#pragma once

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <memory>
#include <string>
#include <string_view>

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
std::string_view trimmed(std::string_view text);

// A value that a message may show: printable, and short.
inline constexpr std::size_t kShownLimit = 80;
std::string shown(std::string_view value);

}  // namespace vmsec::kvm
