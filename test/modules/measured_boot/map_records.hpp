// Records that count how often they are used, and may be full.
#pragma once

#include <map>
#include <string>

#include "vmsec/service/records.hpp"

namespace vmsec::boot::test {

class MapRecords final : public Records {
 public:
  Result<Empty> put(const Record& record) override {
    if (full) return fail(Code::limit_exceeded, "no room");
    ++writes;
    values[record.key] = record.value;
    return Empty{};
  }
  Result<Record> get(const RecordKey& key) override {
    ++reads;
    const auto found = values.find(key.key);
    if (found == values.end()) return fail(Code::not_found, "none");
    return Record{found->first, found->second};
  }
  Result<Empty> remove(const RecordKey& key) override {
    values.erase(key.key);
    return Empty{};
  }
  Result<RecordList> list(const RecordKey& prefix) override {
    ++lists;
    RecordList out;
    for (const auto& [key, value] : values)
      if (key.starts_with(prefix.key)) out.records.push_back({key, value});
    return out;
  }

  std::map<std::string, std::string> values;
  int writes = 0;
  int reads = 0;
  int lists = 0;
  bool full = false;
};

}  // namespace vmsec::boot::test
