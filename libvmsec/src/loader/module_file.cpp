#include "loader/module_file.hpp"

namespace vmsec::loader {
namespace {

Status check_entry(const vmsec_module* entry, const std::string& file) {
  const auto refuse = [&](const std::string& cause) {
    return fail(Code::unsupported, "load module " + file + ": " + cause);
  };
  if (entry == nullptr) return refuse("it has no symbol vmsec_module_entry");
  if (entry->abi_major != VMSEC_ABI_MAJOR || entry->abi_minor > VMSEC_ABI_MINOR)
    return refuse("its ABI is " + std::to_string(entry->abi_major) + "." + std::to_string(entry->abi_minor) +
                  ", this host's " + std::to_string(VMSEC_ABI_MAJOR) + "." + std::to_string(VMSEC_ABI_MINOR));
  if (entry->size < sizeof(vmsec_module)) return refuse("its entry has " + std::to_string(entry->size) + " bytes");
  if (entry->manifest == nullptr || entry->create == nullptr || entry->call == nullptr || entry->destroy == nullptr)
    return refuse("its entry is not complete");
  return {};
}

}  // namespace

Result<ModuleFile> ModuleFile::open(const std::string& file) {
  VMSEC_TRY(SealedFile sealed, SealedFile::copy(file));
  VMSEC_TRY(SharedObject object, SharedObject::open(sealed));
  const auto* entry = static_cast<const vmsec_module*>(object.symbol("vmsec_module_entry"));
  VMSEC_CHECK(check_entry(entry, file));
  VMSEC_TRY(Manifest manifest, parse_manifest(std::string_view(entry->manifest, entry->manifest_size), file));
  return ModuleFile(std::move(sealed), std::move(object), entry, std::move(manifest));
}

}  // namespace vmsec::loader
