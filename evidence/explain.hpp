// Which rule of a reference decides each PCR and each event of a log.
#pragma once

#include "log_view.hpp"
#include "reference.hpp"
#include "rules.hpp"

namespace vmsec::boot {

enum class Answer { allowed, refused, not_covered };
std::string_view to_string(Answer answer);

struct ExplainedEvent {
  ViewedEvent event;
  std::string rule;  // "part.kernel"; empty: none
  std::size_t line = 0;
  Answer answer = Answer::not_covered;
};

struct ExplainedPcr {
  std::uint32_t pcr = 0;
  std::string value;               // raw
  std::vector<std::string> rules;  // "values", "sequence"
  std::size_t line = 0;
  Answer answer = Answer::not_covered;
  std::string cause;  // of a refusal
};

struct Explanation {
  std::vector<ExplainedPcr> pcrs;
  std::vector<ExplainedEvent> events;
  std::string cause;  // the first thing that is refused; empty: nothing is
  // Those that the reference covers and none of the logs leads to: IMA's, without its list.
  std::vector<std::uint32_t> not_judged;
};

// As if a TPM had quoted what the log leads to.
Result<Explanation> explain_boot(const Reference& reference, const BootLogs& logs);

}  // namespace vmsec::boot
