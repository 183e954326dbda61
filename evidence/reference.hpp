// What a host must have booted: the reference file, an operator's TOML.
//
//   version = 1
//   pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 9]  # what the file covers; without it, 0 to 7 at least
//   [pcr.4]
//   values = ["90ea..."]                # SHA-256; the PCR must have one of them
//   events = ["6d3a...", "3d67..."]     # and each event measured into it one of these
//
// A PCR needs values, events or both; where both are given both must hold.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pcr_mask.hpp"
#include "replay.hpp"
#include "vmsec/result.hpp"
#include "vmsec/service/attestation.hpp"

namespace vmsec::boot {

inline constexpr std::size_t kMaxReferenceBytes = std::size_t{1} << 20;

struct PcrReference {
  std::vector<std::string> values;  // raw digests
  std::vector<std::string> events;
};

struct Reference {
  Hash bank = Hash::sha256;
  std::map<std::uint32_t, PcrReference> pcrs;
  [[nodiscard]] PcrMask mask() const;
};

// Strict: errors give `file`, line and column.
Result<Reference> parse_reference(std::string_view text, const std::string& file);
// Read anew at each call, so that a changed file counts at once.
Result<Reference> read_reference(const std::string& path);

struct Comparison {
  std::vector<PcrValue> pcrs;  // those that the reference covers
  std::string cause;           // the first thing that differs; empty: nothing does
};
// Compares a replay of the reference's bank whose values a quote has confirmed.
Comparison compare(const Reference& reference, const Replay& replay);

// A reference file that this boot, and only this one, satisfies.
std::string write_reference(const Replay& replay, PcrMask pcrs, const std::string& host);

}  // namespace vmsec::boot
