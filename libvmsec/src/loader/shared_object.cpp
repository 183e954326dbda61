#include "loader/shared_object.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "vmsec/object.hpp"

namespace vmsec::loader {
namespace {

bool is_object_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

// The linker knows an object by the path that it was loaded from, and keeps many
// for ever (DF_1_NODELETE, STB_GNU_UNIQUE): a descriptor's number that came to
// stand for another file would give it the old code. So each content has one
// descriptor, which stays open.
Result<std::string> path_of(const SealedFile& file) {
  static std::mutex mutex;
  static std::map<std::string, Fd> loaded;  // by digest
  const std::lock_guard lock(mutex);
  auto found = loaded.find(file.digest());
  if (found == loaded.end()) {
    VMSEC_TRY(Fd kept, file.fd().duplicate());
    found = loaded.emplace(file.digest(), std::move(kept)).first;
  }
  return "/proc/self/fd/" + std::to_string(found->second.get());
}

}  // namespace

void SharedObject::Close::operator()(void* handle) const { ::dlclose(handle); }

Result<SharedObject> SharedObject::open(const SealedFile& file) {
  if (const auto whole = check_object_head(file.bytes().substr(0, kObjectHead), file.bytes().size()); !whole)
    return fail(whole.error().in("load " + file.file()));
  VMSEC_TRY(const std::string path, path_of(file));
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* cause = ::dlerror();
    return fail(Code::unavailable, "load " + file.file() + ": " + (cause != nullptr ? cause : "unknown cause"));
  }
  return SharedObject(handle);
}

const void* SharedObject::symbol(const char* name) const { return ::dlsym(handle_.get(), name); }

Result<std::string> find_object(const std::string& name, const std::vector<std::string>& folders,
                                const std::string& kind) {
  if (!is_object_name(name))
    return fail(Code::invalid_argument, "find " + kind + " \"" + name + "\": names are a-z, 0-9 and _");
  std::string searched;
  for (const auto& folder : folders) {
    std::string file = folder + "/" + name + ".so";
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored)) return file;
    searched += (searched.empty() ? "" : ", ") + folder;
  }
  return fail(Code::not_found, "find " + kind + " " + name + ": no " + name + ".so in " + searched);
}

std::vector<std::string> list_objects(const std::vector<std::string>& folders) {
  std::set<std::string> names;
  for (const auto& folder : folders) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error))
      if (entry.path().extension() == ".so" && is_object_name(entry.path().stem())) names.insert(entry.path().stem());
  }
  return {names.begin(), names.end()};
}

std::string installed_folder(const std::string& kind) {
  Dl_info self{};
  if (::dladdr(reinterpret_cast<const void*>(&installed_folder), &self) == 0 || self.dli_fname == nullptr)
    return "vmsec/" + kind;
  std::error_code ignored;
  const auto library = std::filesystem::canonical(self.dli_fname, ignored);
  return (library.parent_path() / "vmsec" / kind).string();
}

}  // namespace vmsec::loader
