// What a host must have booted: the reference file, an operator's TOML
// (modules/measured_boot/README.md has all of it).
//
//   version = 1
//   serial = 7                          # grows with each change
//   bank = "sha256"
//   pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 9]  # what the file covers; without it, 0 to 7 at least
//   secure_boot = true
//   [pcr.4]
//   values = ["90ea..."]                # the PCR must have one of them
//   events = ["6d3a...", "3d67..."]     # and each event measured into it one of these
//   [pcr.9]
//   sequence = ["kernel", "initrd?"]    # and its events are, in order, one of each part
//   [part.kernel]
//   digests = ["a570..."]
//
// A PCR needs values, events or a sequence; where several are given all must hold.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pcr_mask.hpp"
#include "replay.hpp"
#include "vmsec/result.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::boot {

inline constexpr std::size_t kMaxReferenceBytes = std::size_t{1} << 20;
inline constexpr std::size_t kMaxAllowListBytes = std::size_t{16} << 20;

struct Step {
  std::string part;
  bool optional = false;
};

struct PcrReference {
  std::vector<std::string> values;  // raw digests
  std::vector<std::string> events;
  std::vector<Step> sequence;
};

// Which files may have been measured by Linux' IMA.
struct ImaReference {
  std::set<std::string> digests;  // raw, of any algorithm
  std::set<std::string> own;      // those of them that the reference itself lists
  std::string file;               // beside the reference, as sha256sum writes it; empty: none
  std::string file_digest;
  bool file_read = false;  // its digests are among `digests`
  bool violations = false;
};

struct Reference {
  std::uint32_t serial = 0;
  Hash bank = Hash::sha256;
  bool strict = false;       // what describe.hpp remarks refuses too
  bool secure_boot = false;  // must be on
  // "pk", "kek", "db", "dbx", "extra", "authority": what may be measured at its place; one that is not there, anything.
  std::map<std::string, std::vector<std::string>> secure_boot_lists;
  std::map<std::uint32_t, PcrReference> pcrs;
  std::map<std::string, std::vector<std::string>> parts;
  std::optional<ImaReference> ima;
  // Where the file says it: of each digest in "pcr.4.events", each step in "pcr.9.sequence"; "secure_boot" has one.
  std::map<std::string, std::vector<std::size_t>> lines;

  [[nodiscard]] PcrMask mask() const;  // what must be quoted to decide
  [[nodiscard]] std::size_t line_of(const std::string& key, std::size_t index = 0) const;
};

// Strict: errors give `file`, line and column. Files that it names are not read.
Result<Reference> parse_reference(std::string_view text, const std::string& file);
// Read anew at each call, so that a changed file counts at once; with the files that it names.
Result<Reference> read_reference(const std::string& path);
// Of such a file's text.
Result<Reference> whole_reference(std::string_view text, const std::string& path);

struct Comparison {
  std::vector<PcrValue> pcrs;  // those that the reference covers
  std::string cause;           // the first thing that differs; empty: nothing does
};
// Compares a replay of the reference's bank whose values a quote has confirmed.
Comparison compare(const Reference& reference, const Replay& replay);

// A reference file that this boot, and only this one, satisfies.
std::string write_reference(const Replay& replay, PcrMask pcrs, const std::string& host);

}  // namespace vmsec::boot
