// A reference file that is needed again and again.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "reference.hpp"

namespace vmsec::boot {

// Of one file. Any thread, at once.
class ReferenceReader {
 public:
  // The file is read at each call, so that a changed one counts at once. To parse it takes longer than to verify a
  // host's evidence by it: that is done only when its bytes have changed. What an error came behind is forgotten.
  Result<std::shared_ptr<const Reference>> read(const std::string& path);

 private:
  std::mutex mutex_;
  std::string text_;
  std::shared_ptr<const Reference> parsed_;  // of just that text
};

}  // namespace vmsec::boot
