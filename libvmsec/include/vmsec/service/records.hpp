// What a module keeps across restarts: small records, durable when put() answers.
#pragma once

#include <string>
#include <vector>

#include "vmsec/interface.hpp"

namespace vmsec {

// Each module sees its own records only.
struct Record {
  std::string key;    // 1 to 128 of a-z A-Z 0-9 . _ -, not beginning with a dot
  std::string value;  // at most 1 MiB
  static constexpr std::string_view kMessage = "vmsec.Record";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "key", &Record::key), wire::field(2, "value", &Record::value));
  }
};

struct RecordKey {
  std::string key;
  static constexpr std::string_view kMessage = "vmsec.RecordKey";
  static constexpr auto fields() { return wire::fields(wire::field(1, "key", &RecordKey::key)); }
};

struct RecordList {
  std::vector<Record> records;
  static constexpr std::string_view kMessage = "vmsec.RecordList";
  static constexpr auto fields() { return wire::fields(wire::field(1, "records", &RecordList::records)); }
};

class Records {
 public:
  virtual ~Records() = default;
  // Replaces the record as a whole; on the disk (fsync of file and folder)
  // before it answers. After an error the old record is still there. `limit_exceeded`,
  // with the quota's name: beyond what the module may keep (16 MiB and 4096 records,
  // where its host is configured no other).
  virtual Result<Empty> put(const Record&) = 0;
  virtual Result<Record> get(const RecordKey&) = 0;              // `not_found`
  virtual Result<Empty> remove(const RecordKey&) = 0;            // of none: succeeds
  virtual Result<RecordList> list(const RecordKey& prefix) = 0;  // ordered by key
};

template <>
struct Methods<Records> {
  static constexpr std::string_view kName = "vmsec.Records";
  static constexpr auto table() {
    return std::make_tuple(method(1, "Put", &Records::put), method(2, "Get", &Records::get),
                           method(3, "Remove", &Records::remove), method(4, "List", &Records::list));
  }
};

template <>
class Proxy<Records> final : public Remote<Records> {
 public:
  using Remote::Remote;
  Result<Empty> put(const Record& r) override { return invoke<1>(r); }
  Result<Record> get(const RecordKey& r) override { return invoke<2>(r); }
  Result<Empty> remove(const RecordKey& r) override { return invoke<3>(r); }
  Result<RecordList> list(const RecordKey& r) override { return invoke<4>(r); }
};

}  // namespace vmsec
