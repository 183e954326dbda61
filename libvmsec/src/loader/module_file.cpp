#include "loader/module_file.hpp"

namespace vmsec::loader {

Result<ModuleFile> ModuleFile::open(const std::string& file) {
  VMSEC_TRY(SealedFile sealed, SealedFile::copy(file));
  return adopt(std::move(sealed));
}

Result<ModuleFile> ModuleFile::adopt(SealedFile sealed) {
  VMSEC_TRY(Inspection found, inspect(sealed.bytes(), ObjectKind::module, sealed.file()));
  if (!found.refusals.empty()) return fail(std::move(found.refusals.front()));
  return ModuleFile(std::move(sealed), std::move(found));
}

}  // namespace vmsec::loader
