// A plugin's shared object (vmsec/backend.hpp).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "loader/shared_object.hpp"
#include "vmsec/backend.hpp"
#include "vmsec/export.hpp"
#include "vmsec/trust.hpp"

namespace vmsec::loader {

class VMSEC_EXPORT PluginFile {
 public:
  // Copies, verifies, inspects and loads. The errors are those of SealedFile::copy()
  // and Trust::verify(), the first of inspect()'s refusals, `unavailable` where the
  // dynamic linker refuses it, and `unsupported` for another ABI.
  // `before_it_runs` has the digest of what is about to be loaded; its error is the answer.
  static Result<PluginFile> open(const std::string& file, const Trust& trust,
                                 const std::function<Status(const std::string& digest)>& before_it_runs = {});
  [[nodiscard]] const PluginEntry& entry() const { return *entry_; }
  [[nodiscard]] const Signers& signers() const { return signers_; }
  [[nodiscard]] const std::string& digest() const { return digest_; }

 private:
  PluginFile(SharedObject object, const PluginEntry* entry, Signers signers, std::string digest)
      : object_(std::move(object)), entry_(entry), signers_(std::move(signers)), digest_(std::move(digest)) {}

  SharedObject object_;
  const PluginEntry* entry_;
  Signers signers_;
  std::string digest_;
};

}  // namespace vmsec::loader
