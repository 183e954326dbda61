// A reference's serial never goes back; the files that it names are read with it.
#include "reference_file.hpp"

#include <catch2/catch.hpp>
#include <map>

#include "evidence/bytes.hpp"
#include "evidence/digest.hpp"
#include "swtpm.hpp"

namespace vmsec::boot::test {
namespace {

class KeptRecords final : public Records {
 public:
  Result<Empty> put(const Record& record) override {
    if (full) return fail(Code::limit_exceeded, "the quota");
    all[record.key] = record.value;
    return Empty{};
  }
  Result<Record> get(const RecordKey& key) override {
    const auto found = all.find(key.key);
    if (found == all.end()) return fail(Code::not_found, "no record " + key.key);
    return Record{found->first, found->second};
  }
  Result<Empty> remove(const RecordKey&) override { return Empty{}; }
  Result<RecordList> list(const RecordKey&) override { return RecordList{}; }

  std::map<std::string, std::string> all;
  bool full = false;
};

std::string text_of(const std::string& serial, const std::string& more = {}) {
  return "version = 1\n" + (serial.empty() ? "" : "serial = " + serial + "\n") + "pcrs = [4" +
         (more.empty() ? "" : ", 10") + "]\n[pcr.4]\nvalues = [\"" + std::string(64, 'a') + "\"]\n" + more;
}

}  // namespace

TEST_CASE("a reference's serial may grow and stay, and never goes back") {
  TempFolder folder;
  KeptRecords records;
  const auto read = [&](const std::string& serial) {
    const auto path = folder.file("reference.toml", text_of(serial));
    return ReferenceFile(path, records).read();  // a new one each time, as after a restart
  };
  CHECK(read("").value()->serial == 0);
  CHECK(records.all.empty());
  CHECK(read("7").value()->serial == 7);
  CHECK(read("7").value()->serial == 7);
  CHECK(read("9").value()->serial == 9);
  const auto back = read("8");
  REQUIRE_FALSE(back);
  CHECK(back.error().code == Code::tampered);
  CHECK(back.error().message.find("reference.toml has the serial 8, and the serial 9 was seen before") !=
        std::string::npos);
  CHECK(read("").error().message.find("has no serial, and the serial 9 was seen before") != std::string::npos);
  CHECK(read("9"));
  const auto other = folder.file("other.toml", text_of("2"));
  CHECK(ReferenceFile(other, records).read().value()->serial == 2);
}

TEST_CASE("a serial that could not be kept does not count, and a damaged record is no serial 0") {
  TempFolder folder;
  KeptRecords records;
  const auto path = folder.file("reference.toml", text_of("7"));
  ReferenceFile file(path, records);
  records.full = true;
  CHECK(file.read().error().message.find("keep the serial of reference") != std::string::npos);
  records.full = false;
  REQUIRE(file.read());
  records.all.begin()->second = "\xff";
  CHECK_FALSE(file.read());
}

TEST_CASE("the allow list beside a reference is read, and must be the one that was reviewed") {
  TempFolder folder;
  KeptRecords records;
  const std::string list = std::string(64, '1') + "  /bin/sh\n" + std::string(64, '2') + " */bin/ls\n";
  folder.file("allow.sha256", list);
  const auto more = [](const std::string& content) {
    return "[ima]\nfile = \"allow.sha256\"\nfile_sha256 = \"" + to_hex(sha256({content}).value()) + "\"\n";
  };
  const auto path = folder.file("reference.toml", text_of("", more(list)));
  ReferenceFile file(path, records);
  const auto reference = file.read();
  REQUIRE(reference);
  REQUIRE((*reference)->ima);
  CHECK((*reference)->ima->file_read);
  CHECK((*reference)->ima->digests.size() == 2);
  folder.file("allow.sha256", list + std::string(64, '3') + "  /bin/evil\n");
  CHECK(file.read().error().code == Code::tampered);
  CHECK(file.read().error().message.find("the reference says " + to_hex(sha256({list}).value())) != std::string::npos);
  folder.file("allow.sha256", "hello\n");
  folder.file("reference.toml", text_of("", more("hello\n")));
  CHECK(file.read().error().message.find("allow.sha256:1: want a line of sha256sum") != std::string::npos);
}

TEST_CASE("without a reference there is nothing to attest by") {
  KeptRecords records;
  CHECK(ReferenceFile({}, records).read().error().code == Code::wrong_state);
}

}  // namespace vmsec::boot::test
