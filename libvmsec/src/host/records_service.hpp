// vmsec.Records: a folder per module, a file per record.
#pragma once

#include <mutex>
#include <string>

#include "vmsec/export.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::host {

class VMSEC_EXPORT RecordsService final : public Records {
 public:
  // The folder is made when the first record is put.
  explicit RecordsService(std::string folder) : folder_(std::move(folder)) {}
  Result<Empty> put(const Record&) override;
  Result<Record> get(const RecordKey&) override;
  Result<Empty> remove(const RecordKey&) override;
  Result<RecordList> list(const RecordKey& prefix) override;

 private:
  const std::string folder_;
  std::mutex mutex_;
};

}  // namespace vmsec::host
