// A plugin's shared object (vmsec/backend.hpp).
#pragma once

#include <memory>
#include <string>

#include "loader/shared_object.hpp"
#include "vmsec/backend.hpp"

namespace vmsec::loader {

class PluginFile {
 public:
  static Result<PluginFile> open(const std::string& file);
  [[nodiscard]] const PluginEntry& entry() const { return *entry_; }

 private:
  PluginFile(SharedObject object, const PluginEntry* entry) : object_(std::move(object)), entry_(entry) {}

  SharedObject object_;
  const PluginEntry* entry_;
};

}  // namespace vmsec::loader
