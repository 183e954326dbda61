// The operator's reference, whose serial never goes back.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "evidence/reference_reader.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::boot {

// `tampered` where `what` (a reference's path, "guest UUID") had a higher one; a higher one than before is kept,
// durably. One at a time for each `what`.
Status check_serial(Records& records, const std::string& what, std::uint32_t serial);

// Any thread, at once. Borrows Records.
class ReferenceFile {
 public:
  // `path` empty: none is configured.
  ReferenceFile(std::string path, Records& records) : path_(std::move(path)), records_(records) {}

  // Reads it anew. `wrong_state` where none is configured; `tampered` for one whose serial is lower than
  // one that was seen at this path, also before a restart. A higher one is remembered, durably, before it counts.
  Result<std::shared_ptr<const Reference>> read();

 private:
  const std::string path_;
  Records& records_;
  ReferenceReader reader_;
  std::mutex mutex_;  // between get and put no other may come
};

}  // namespace vmsec::boot
