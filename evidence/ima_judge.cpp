#include "ima_judge.hpp"

#include "bytes.hpp"

namespace vmsec::boot {
namespace {

constexpr std::size_t kTemplateDigest = 20;  // SHA-1, in the list itself
constexpr std::size_t kOldNameLength = 256;  // the template "ima" measures its name padded

std::unexpected<Error> bad(const ImaEntry& entry, const std::string& cause) {
  return fail(Code::invalid_argument, "IMA list, byte " + std::to_string(entry.offset) + ", entry " +
                                          std::to_string(entry.number) + ": " + cause);
}

struct Extension {
  std::string full;    // by the bank's own algorithm
  std::string padded;  // before Linux 5.8: the SHA-1 digest and zeros
};

// The part of an entry that is measured, from its bytes in the list.
Result<Extension> extension_of(const ImaEntry& entry, std::string_view bytes, Hash bank) {
  const std::size_t size = digest_size(bank).value_or(0);
  if (entry.violation) {
    std::string padded(kTemplateDigest, '\xff');
    padded.resize(size, '\0');
    return Extension{std::string(size, '\xff'), std::move(padded)};
  }
  ByteReader reader(bytes);
  const bool begun = reader.take(4).has_value();  // the PCR
  const auto template_digest = reader.take(kTemplateDigest);
  const auto name_size = reader.little<std::uint32_t>();
  if (!begun || !template_digest || !name_size || !reader.take(*name_size)) return bad(entry, "it is cut off");
  Extension extension;
  std::string data;
  if (entry.template_name == "ima") {
    const auto digest = reader.take(kTemplateDigest);
    if (!digest || !reader.take(4) || reader.left() > kOldNameLength) return bad(entry, "it is cut off");
    std::string name(reader.rest());
    name.resize(kOldNameLength, '\0');
    data = std::string(*digest) + name;
  } else {
    if (!reader.take(4)) return bad(entry, "it is cut off");
    data = std::string(reader.rest());
  }
  VMSEC_TRY(extension.full, digest(bank, {data}));
  // Of what the entry says, not of the digest that stands beside it.
  VMSEC_TRY(extension.padded, digest(Hash::sha1, {data}));
  extension.padded.resize(size, '\0');
  return extension;
}

Result<std::string> boot_aggregate(const Replay& replay) {
  std::string values;
  for (std::size_t pcr = 0; pcr < kImaPcr; ++pcr) values += replay.values[pcr];
  return digest(replay.bank, {values});
}

std::string name_of(const ImaEntry& entry) {
  return "IMA entry " + std::to_string(entry.number) + " (" + printable(entry.path, 200) + ")";
}

Result<std::string> aggregate_cause(const ImaEntry& entry, const Replay& replay) {
  if (entry.violation || entry.pcr != kImaPcr || entry.path != "boot_aggregate")
    return name_of(entry) + ": the first is not the boot's aggregate, in PCR 10";
  if (entry.hash != replay.bank)
    return name_of(entry) + ": it is by " + to_string(entry.hash) + ", and " + to_string(replay.bank) + " was quoted";
  VMSEC_TRY(const auto expected, boot_aggregate(replay));
  if (equal(entry.digest, expected)) return std::string();
  return name_of(entry) + ": it is " + to_hex(entry.digest) + ", PCR 0 to 9 lead to " + to_hex(expected);
}

}  // namespace

Result<std::optional<std::size_t>> ima_prefix(std::string_view list, const ImaList& read, Hash bank,
                                              const std::string& start, std::string_view value) {
  std::string full = start;
  std::string padded = start;
  if (equal(start, value)) return std::optional<std::size_t>(0);
  for (std::size_t i = 0; i < read.entries.size(); ++i) {
    const auto& entry = read.entries[i];
    const std::size_t end = i + 1 < read.entries.size() ? read.entries[i + 1].offset : list.size();
    if (end < entry.offset || end > list.size()) return bad(entry, "it has no end");
    if (entry.pcr != kImaPcr) continue;
    VMSEC_TRY(const auto extension, extension_of(entry, list.substr(entry.offset, end - entry.offset), bank));
    VMSEC_TRY(full, digest(bank, {full, extension.full}));
    VMSEC_TRY(padded, digest(bank, {padded, extension.padded}));
    if (equal(full, value) || equal(padded, value)) return std::optional(i + 1);
  }
  return std::optional<std::size_t>();
}

Result<std::string> ima_cause(const ImaReference& reference, const ImaList& list, std::size_t count,
                              const Replay& replay) {
  if (!reference.file.empty() && !reference.file_read)
    return "the reference's allow list " + reference.file + " was not read";
  if (count == 0) return std::string("IMA has measured nothing, not even the boot's aggregate");
  VMSEC_TRY(auto cause, aggregate_cause(list.entries[0], replay));
  if (!cause.empty()) return cause;
  for (std::size_t i = 1; i < count && i < list.entries.size(); ++i) {
    const auto& entry = list.entries[i];
    if (entry.pcr != kImaPcr) return name_of(entry) + ": it was measured into PCR " + std::to_string(entry.pcr);
    if (entry.violation && reference.violations) continue;
    if (entry.violation) return name_of(entry) + ": a violation: it was written to while it was measured";
    if (!reference.digests.contains(std::string(entry.digest)))
      return name_of(entry) + ": " + to_string(entry.hash) + " " + to_hex(entry.digest) + " is not in the allow list";
  }
  return std::string();
}

}  // namespace vmsec::boot
