// The files of evidence.py, and what they are judged by.
#pragma once

#include <filesystem>
#include <string>

#include "evidence/judge.hpp"

namespace vmsec::bench {

struct Input {
  boot::Evidence evidence;
  boot::TpmPublic key;
  boot::QuoteDemand demand;

  static Result<Input> read(const std::filesystem::path& folder);
};

// What this boot, and only this one, satisfies: each PCR's value, and each event by its digest.
Result<std::string> reference_text(const Input& input);
Result<boot::Reference> parsed(const std::string& reference_text);

// That the verdict is "trusted".
Status judged(const boot::Evidence& evidence, const boot::TpmPublic& key, const boot::QuoteDemand& demand,
              const boot::Reference& reference);

}  // namespace vmsec::bench
