// From TOML's tree to vmsec::Settings. The only folder that includes toml++.
#pragma once

#include <toml++/toml.h>
#include <functional>
#include <string_view>

#include "policy/findings.hpp"

namespace vmsec::policy {

// Whether [[name]] may stand in it: a module's section has none.
enum class TableLists { refused, allowed };

inline Place place_of(const toml::source_region& region) {
  return {static_cast<std::uint32_t>(region.begin.line), static_cast<std::uint32_t>(region.begin.column)};
}

// Calls use(root) when the text is TOML; else its syntax error is a finding.
// Nothing is thrown.
void with_toml(std::string_view text, Sink& sink, const std::function<void(const toml::table&)>& use);

// One Setting for each value of the table.
Settings flatten(const toml::table& table, TableLists lists, Sink& sink);

// "a string", "an integer", ... for messages.
std::string_view type_name(const toml::node& node);

}  // namespace vmsec::policy
