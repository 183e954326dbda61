#include "reference_reader.hpp"

#include <utility>

#include "files.hpp"

namespace vmsec::boot {

Result<std::shared_ptr<const Reference>> ReferenceReader::read(const std::string& path) {
  const std::lock_guard lock(mutex_);
  auto before = std::exchange(parsed_, nullptr);
  VMSEC_TRY(auto text, read_file(path, kMaxReferenceBytes, "reference"));
  if (before && text == text_) return parsed_ = std::move(before);
  VMSEC_TRY(auto reference, whole_reference(text, path));
  text_ = std::move(text);
  return parsed_ = std::make_shared<const Reference>(std::move(reference));
}

}  // namespace vmsec::boot
