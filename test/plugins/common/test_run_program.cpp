#include <catch2/catch.hpp>

#include <csignal>

#include "run_program.hpp"

using namespace vmsec;
using namespace vmsec::common;

TEST_CASE("a program's output and exit code come back") {
  const auto output = run_program({"sh", "-c", "echo out; echo err >&2; exit 3"});
  REQUIRE(output);
  CHECK(output->exit_code == 3);
  CHECK(output->out == "out\n");
  CHECK(output->err == "err\n");
}

TEST_CASE("arguments reach a program as they are: there is no shell") {
  const auto output = run_program({"printf", "%s|", "a b", "$(id)", "; true"});
  REQUIRE(output);
  CHECK(output->out == "a b|$(id)|; true|");
}

TEST_CASE("a program that is not there is unsupported, one that says too much is stopped") {
  CHECK(run_program({"no-such-program-of-vmsec"}).error().code == Code::unsupported);
  CHECK(run_program({}).error().code == Code::invalid_argument);
  CHECK(run_program({"yes"}).error().code == Code::limit_exceeded);
}

TEST_CASE("a program that is run has SIGPIPE's default, whatever this process does with it") {
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  const auto output = run_program({"sh", "-c", "kill -PIPE $$; echo survived"});
  std::signal(SIGPIPE, before);
  REQUIRE(output);
  CHECK(output->out.empty());
  CHECK(output->exit_code == 128 + SIGPIPE);
}
