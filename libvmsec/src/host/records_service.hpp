// vmsec.Records: a folder per module, a file per record.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "vmsec/export.hpp"
#include "vmsec/service/records.hpp"

namespace vmsec::host {

// What a module may keep: it would fill the disk that the acts' records need.
struct RecordQuota {
  Bytes bytes{std::uint64_t{16} << 20};  // keys and values
  std::uint32_t count = 4096;
};

class VMSEC_EXPORT RecordsService final : public Records {
 public:
  // The folder is made when the first record is put. Nobody else writes there.
  explicit RecordsService(std::string folder, const RecordQuota& quota = {})
      : folder_(std::move(folder)), quota_(quota) {}
  Result<Empty> put(const Record&) override;
  Result<Record> get(const RecordKey&) override;
  Result<Empty> remove(const RecordKey&) override;
  Result<RecordList> list(const RecordKey& prefix) override;

 private:
  Status look_up_sizes();
  [[nodiscard]] Status check_quota(const Record& record) const;

  const std::string folder_;
  const RecordQuota quota_;
  std::mutex mutex_;
  std::optional<std::map<std::string, std::uint64_t>> sizes_;  // of keys and values; looked up once
  std::uint64_t total_ = 0;
};

}  // namespace vmsec::host
