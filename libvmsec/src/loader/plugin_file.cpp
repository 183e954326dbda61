#include "loader/plugin_file.hpp"

namespace vmsec::loader {

Result<PluginFile> PluginFile::open(const std::string& file) {
  VMSEC_TRY(const SealedFile sealed, SealedFile::copy(file));
  VMSEC_TRY(SharedObject object, SharedObject::open(sealed));
  const auto* entry = static_cast<const PluginEntry*>(object.symbol("vmsec_plugin_entry"));
  if (entry == nullptr) return fail(Code::unsupported, "load plugin " + file + ": it has no symbol vmsec_plugin_entry");
  if (entry->abi != kPluginAbi || entry->size != sizeof(PluginEntry))
    return fail(Code::unsupported, "load plugin " + file + ": it was built for plugin ABI " +
                                       std::to_string(entry->abi) + ", this library has " + std::to_string(kPluginAbi));
  return PluginFile(std::move(object), entry);
}

}  // namespace vmsec::loader
