#include "object.hpp"

#include <dlfcn.h>

#include "sandbox.hpp"

namespace vmsec::worker {
namespace {

std::string cause() {
  const char* text = ::dlerror();
  return text != nullptr ? text : "unknown cause";
}

}  // namespace

Status load_libraries(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (name.empty() || name.find('/') != std::string::npos)
      return fail(Code::invalid_argument, "load library \"" + name + "\": it must be a plain name");
    if (::dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr)
      return fail(Code::unavailable, "load library " + name + ": " + cause());
  }
  return {};
}

Result<const vmsec_module*> load_object() {
  void* object = ::dlopen(kObjectPath, RTLD_NOW | RTLD_LOCAL);
  if (object == nullptr) return fail(Code::unavailable, "load its object: " + cause());
  const auto* entry = static_cast<const vmsec_module*>(::dlsym(object, "vmsec_module_entry"));
  if (entry == nullptr) return fail(Code::unsupported, "it has no symbol vmsec_module_entry");
  if (entry->abi_major != VMSEC_ABI_MAJOR || entry->abi_minor > VMSEC_ABI_MINOR)
    return fail(Code::unsupported, "its ABI is " + std::to_string(entry->abi_major) + "." +
                                       std::to_string(entry->abi_minor) + ", this worker's " +
                                       std::to_string(VMSEC_ABI_MAJOR) + "." + std::to_string(VMSEC_ABI_MINOR));
  if (entry->size < VMSEC_MODULE_SIZE_1_0 || entry->create == nullptr || entry->call == nullptr ||
      entry->destroy == nullptr)
    return fail(Code::unsupported, "its entry is not complete");
  return entry;
}

}  // namespace vmsec::worker
