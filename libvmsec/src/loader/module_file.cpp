#include "loader/module_file.hpp"

namespace vmsec::loader {

Result<ModuleFile> ModuleFile::open(const std::string& file, const Trust& trust) {
  VMSEC_TRY(SealedFile sealed, SealedFile::copy(file));
  VMSEC_TRY(const std::string signature, read_signature(ObjectKind::module, file));
  VMSEC_TRY(Signers signers, trust.verify(ObjectKind::module, file, sealed.digest(), signature));
  VMSEC_TRY(ModuleFile opened, adopt(std::move(sealed)));
  VMSEC_CHECK(trust.check_version(file, opened.manifest().name, opened.manifest().version));
  opened.signers_ = std::move(signers);
  return opened;
}

Result<ModuleFile> ModuleFile::adopt(SealedFile sealed) {
  VMSEC_TRY(Inspection found, inspect(sealed.bytes(), ObjectKind::module, sealed.file()));
  if (!found.refusals.empty()) return fail(std::move(found.refusals.front()));
  return ModuleFile(std::move(sealed), std::move(found));
}

}  // namespace vmsec::loader
