// vmsec completion bash: the script, to be sourced.
#include "commands/commands.hpp"

namespace vmsec::cli {
namespace {

constexpr const char* kScript =
#include "completion_script.inc"
    ;

}  // namespace

void add_completion(CLI::App& app, Context& context) {
  auto* completion = app.add_subcommand("completion", "Completion for a shell");
  completion->require_subcommand(1);
  completion->footer("Examples:\n  source <(vmsec completion bash)");
  auto* bash = completion->add_subcommand("bash", "The script for bash");
  bash->footer("Examples:\n  source <(vmsec completion bash)\n  vmsec completion bash > /etc/bash_completion.d/vmsec");
  context.on(bash, []() -> Ending {
    std::fputs(kScript, stdout);
    return Exit::ok;
  });
}

}  // namespace vmsec::cli
