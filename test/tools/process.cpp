#include "tools/process.hpp"
#include "paths.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

namespace vmsec::test {
namespace {

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

pid_t start(const std::string& program, const std::vector<std::string>& arguments, const std::string& out,
            const std::string& err) {
  const std::string file = std::string(VMSEC_BINARY_DIR) + "/bin/" + program;
  std::vector<char*> words{const_cast<char*>(file.c_str())};
  for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::unsetenv("VMSEC_AGENT");
  const int flags = O_WRONLY | O_CREAT | O_APPEND;
  ::dup2(::open("/dev/null", O_RDONLY), 0);
  ::dup2(::open(out.c_str(), flags, 0600), 1);
  ::dup2(::open(err.c_str(), flags, 0600), 2);
  ::execv(file.c_str(), words.data());
  ::_exit(127);
}

}  // namespace

Ran run(const std::string& program, const std::vector<std::string>& arguments) {
  const TempDir folder;
  const pid_t pid = start(program, arguments, folder / "out", folder / "err");
  REQUIRE(pid > 0);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return {code_of(status), read_file(folder / "out"), read_file(folder / "err")};
}

nlohmann::json tool_json(std::vector<std::string> arguments, int expected_code) {
  arguments.emplace_back("--json");
  const Ran ran = tool(arguments);
  INFO(ran.out << ran.err);
  REQUIRE(ran.code == expected_code);
  return nlohmann::json::parse(ran.out);
}

TempDir::TempDir() {
  std::string form = (std::filesystem::temp_directory_path() / "vmsec-tools-XXXXXX").string();
  REQUIRE(::mkdtemp(form.data()) != nullptr);
  path_ = form;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::filesystem::path& file, const std::string& text) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out << text;
  REQUIRE(out.flush());
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 1200; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

Background::Background(const std::string& program, const std::vector<std::string>& arguments, const std::string& log)
    : pid_(start(program, arguments, log, log)) {
  REQUIRE(pid_ > 0);
}

Background::~Background() {
  if (!running()) return;
  ::kill(pid_, SIGKILL);
  wait();
}

void Background::signal(int number) const { ::kill(pid_, number); }

int Background::wait() {
  int status = 0;
  if (pid_ > 0 && ::waitpid(pid_, &status, 0) == pid_) {
    code_ = code_of(status);
    pid_ = -1;
  }
  return code_;
}

bool Background::running() {
  int status = 0;
  if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    code_ = code_of(status);
    pid_ = -1;
  }
  return pid_ > 0;
}

}  // namespace vmsec::test
