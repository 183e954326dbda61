#include <algorithm>

#include "libxl_json.hpp"
#include "libxl_json_parts.hpp"

namespace vmsec::xen {
namespace {

using nlohmann::json;

// Those that are gone go; those that nobody has written down come as their names only.
void keep_only(json& document, const char* list, const char* key, std::vector<std::string> present) {
  json out = json::array();
  for (const json& each : member(document, list)) {
    const json& name = member(each, key);
    const auto found = name.is_string() ? std::ranges::find(present, name.get<std::string>()) : present.end();
    if (found == present.end()) continue;
    out.push_back(each);
    present.erase(found);
  }
  for (const std::string& name : present) out.push_back({{key, name}});
  document[list] = std::move(out);
}

}  // namespace

Result<std::string> as_it_is_now(const std::string& built, const LiveDomain& now) {
  VMSEC_TRY(json document, parse_json(built));
  json& create = document["c_info"];
  if (!create.is_object()) return misread("c_info", "an object");
  create["name"] = now.name;
  if (!now.pool.empty() && member(create, "pool_name") == now.pool) create.erase("pool_name");
  keep_only(document, "disks", "vdev", now.vdevs);
  keep_only(document, "nics", "mac", now.macs);
  return document.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace vmsec::xen
