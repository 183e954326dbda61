#include "reference_reader.hpp"

#include <utility>

#include "files.hpp"

namespace vmsec::boot {
namespace {

// One that names another file is as good as that file is now.
bool stands_alone(const Reference& reference) { return !reference.ima || reference.ima->file.empty(); }

}  // namespace

Result<std::shared_ptr<const Reference>> ReferenceReader::read(const std::string& path) {
  const std::lock_guard lock(mutex_);
  auto before = std::exchange(parsed_, nullptr);
  VMSEC_TRY(auto text, read_file(path, kMaxReferenceBytes, "reference"));
  if (before && text == text_ && stands_alone(*before)) return parsed_ = std::move(before);
  VMSEC_TRY(auto reference, whole_reference(text, path));
  text_ = std::move(text);
  return parsed_ = std::make_shared<const Reference>(std::move(reference));
}

}  // namespace vmsec::boot
