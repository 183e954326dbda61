#include "reference_file.hpp"

#include "evidence/bytes.hpp"
#include "evidence/digest.hpp"
#include "messages.hpp"

namespace vmsec::boot {
namespace {

// A path may hold what a record's key may not.
Result<std::string> serial_record(const std::string& path) {
  VMSEC_TRY(const auto digest, sha256({path}));
  return "reference-serial." + to_hex(digest);
}

Result<std::uint32_t> serial_in(const Record& record, const std::string& path) {
  auto kept = wire::decode<ReferenceSerial>(record.value);
  if (!kept) return fail(kept.error().in("record " + record.key));
  if (kept->path != path) return fail(Code::tampered, "record " + record.key + " is of another reference");
  return kept->serial;
}

}  // namespace

Result<std::shared_ptr<const Reference>> ReferenceFile::read() {
  if (path_.empty())
    return fail(Code::wrong_state,
                "attest: no reference file is configured: set [module.measured_boot] reference = "
                "\"/etc/vmsec/reference.toml\" in vmsecd.toml");
  // Not before the file: of two that read it at once, one before and one after its change, neither must refuse it.
  const std::lock_guard lock(mutex_);
  VMSEC_TRY(auto reference, reader_.read(path_));
  VMSEC_CHECK(check_serial(records_, path_, reference->serial));
  return reference;
}

Status check_serial(Records& records, const std::string& what, std::uint32_t serial) {
  VMSEC_TRY(const auto key, serial_record(what));
  std::uint32_t highest = 0;
  const auto record = records.get({key});
  if (!record && record.error().code != Code::not_found) return fail(record.error());
  if (record) {
    VMSEC_TRY(highest, serial_in(*record, what));
  }
  if (serial == highest) return {};
  if (serial < highest)
    return fail(Code::tampered,
                "reference " + what + " has " + (serial == 0 ? "no serial" : "the serial " + std::to_string(serial)) +
                    ", and the serial " + std::to_string(highest) + " was seen before: a reference never goes back");
  const auto kept = records.put({key, wire::encode(ReferenceSerial{what, serial})});
  if (!kept) return fail(kept.error().in("keep the serial of reference " + what));
  return {};
}

}  // namespace vmsec::boot
