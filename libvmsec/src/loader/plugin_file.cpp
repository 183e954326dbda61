#include "loader/plugin_file.hpp"

#include "loader/inspect.hpp"

namespace vmsec::loader {

Result<PluginFile> PluginFile::open(const std::string& file, const Trust& trust,
                                    const std::function<Status(const std::string& digest)>& before_it_runs) {
  VMSEC_TRY(const SealedFile sealed, SealedFile::copy(file));
  VMSEC_TRY(const std::string signature, read_signature(ObjectKind::plugin, file));
  VMSEC_TRY(Signers signers, trust.verify(ObjectKind::plugin, file, sealed.digest(), signature));
  VMSEC_TRY(const Inspection found, inspect(sealed.bytes(), ObjectKind::plugin, file));
  if (!found.refusals.empty()) return fail(found.refusals.front());
  if (before_it_runs) VMSEC_CHECK(before_it_runs(sealed.digest()));
  VMSEC_TRY(SharedObject object, SharedObject::open(sealed));
  const auto* entry = static_cast<const PluginEntry*>(object.symbol("vmsec_plugin_entry"));
  if (entry == nullptr) return fail(Code::unsupported, "load plugin " + file + ": it has no symbol vmsec_plugin_entry");
  if (entry->abi != kPluginAbi || entry->size != sizeof(PluginEntry))
    return fail(Code::unsupported, "load plugin " + file + ": it was built for plugin ABI " +
                                       std::to_string(entry->abi) + ", this library has " + std::to_string(kPluginAbi));
  return PluginFile(std::move(object), entry, std::move(signers), sealed.digest());
}

}  // namespace vmsec::loader
