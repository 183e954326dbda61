// Runs a program of the host: no shell, an explicit list of arguments.
#pragma once

#include <string>
#include <vector>

#include "vmsec/result.hpp"

namespace vmsec::common {

struct ProgramOutput {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// The first argument names the program, found in the system's directories only.
// `unsupported` where it is not installed, `timeout` after ten seconds (it is
// killed then), `limit_exceeded` for more than 1 MiB of output.
Result<ProgramOutput> run_program(const std::vector<std::string>& arguments);

}  // namespace vmsec::common
