// The files of `vmsec module new`, from templates/: a part of the program.
#pragma once

#include <span>
#include <string_view>

namespace vmsec::cli {

struct Template {
  std::string_view language;  // "c++", "c", or "common" to both
  std::string_view file;
  std::string_view text;  // a program where it begins with "#!"; my_module and MyModule stand for the name
};

extern const std::span<const Template> kTemplates;

}  // namespace vmsec::cli
