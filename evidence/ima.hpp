// Linux' IMA measurement list, as securityfs gives it (binary_runtime_measurements),
// and the PCR that it leads to. Templates ima, ima-ng, ima-ngv2, ima-sig, ima-sigv2,
// ima-buf, ima-modsig, evm-sig.
//
// Strict and bounded, as event logs are: every error names byte, entry and cause.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "digest.hpp"
#include "vmsec/result.hpp"

namespace vmsec::boot {

inline constexpr std::size_t kMaxImaBytes = std::size_t{16} << 20;
inline constexpr std::uint32_t kMaxImaEntries = 262144;
inline constexpr std::uint32_t kImaPcr = 10;

struct ImaEntry {
  std::uint32_t number = 0;
  std::size_t offset = 0;
  std::uint32_t pcr = kImaPcr;
  std::string_view template_name;
  bool violation = false;      // the kernel could not vouch for it (open by a writer): its digests are zeros, and
                               // what else it says is covered by nothing
  Hash hash = Hash::sha1;      // of `digest`
  std::string_view digest;     // of the file, or of the buffer
  std::string_view path;       // the host's words, but covered by what the TPM has extended
  std::string_view signature;  // empty: none
};

// PCR 10 before IMA's first entry, and as it was quoted.
struct ImaQuote {
  std::string start;
  std::string value;
};

// Views into the list. PCR 10 of that bank, by the entries that are of it in their order. Kernels
// before 5.8 extend other banks than SHA-1 by the SHA-1 template digest with zeros behind it
// (`pcr_padded`), later ones by that bank's own digest (`pcr`).
struct ImaList {
  std::vector<ImaEntry> entries;
  std::string pcr;
  std::string pcr_padded;
  // Files go on being measured between a quote and the reading of the list: so many of the entries, from the first,
  // lead to what was quoted. None: they never do, or no quote was given.
  std::optional<std::size_t> quoted;
};

Result<ImaList> read_ima(std::string_view list, Hash bank = Hash::sha256,
                         const std::optional<ImaQuote>& quote = std::nullopt);

}  // namespace vmsec::boot
