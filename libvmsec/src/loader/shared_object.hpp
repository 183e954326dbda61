// A loaded shared object, and where to look for one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loader/sealed_file.hpp"
#include "vmsec/export.hpp"
#include "vmsec/result.hpp"

namespace vmsec::loader {

class VMSEC_EXPORT SharedObject {
 public:
  // Symbols are resolved at once and stay local to the object.
  // The file need not outlive it.
  static Result<SharedObject> open(const SealedFile& file);
  [[nodiscard]] const void* symbol(const char* name) const;

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  explicit SharedObject(void* handle) : handle_(handle) {}

  std::unique_ptr<void, Close> handle_;
};

// The first "<folder>/<name>.so" that exists. Names are a-z, 0-9 and _ only, so
// that a name never leads out of the folders.
Result<std::string> find_object(const std::string& name, const std::vector<std::string>& folders,
                                const std::string& kind);
// The names of all objects in the folders, ordered.
std::vector<std::string> list_objects(const std::vector<std::string>& folders);

// Where the installed ones are: beside libvmsec itself, "vmsec/<kind>".
std::string installed_folder(const std::string& kind);

}  // namespace vmsec::loader
