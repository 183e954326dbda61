// Running the built programs, as an operator does.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace vmsec::test {

struct Ran {
  int code = -1;  // 128 + the signal's number, where one ended it
  std::string out;
  std::string err;
};

// PROGRAM in the build's bin folder, with an environment that names no agent.
Ran run(const std::string& program, const std::vector<std::string>& arguments);
inline Ran tool(const std::vector<std::string>& arguments) { return run("vmsec", arguments); }
// The same with --json: standard output must be JSON.
nlohmann::json tool_json(std::vector<std::string> arguments, int expected_code = 0);

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] std::filesystem::path path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

void write_file(const std::filesystem::path& file, const std::string& text);
std::string read_file(const std::filesystem::path& file);

// False when the condition has not come true in a minute: something is broken.
bool comes_true(const std::function<bool()>& condition);

// A program that goes on until it is told to end. The destructor ends it.
class Background {
 public:
  Background(const std::string& program, const std::vector<std::string>& arguments, const std::string& log);
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  void signal(int number) const;
  int wait();  // its exit code
  [[nodiscard]] bool running();
  [[nodiscard]] pid_t id() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int code_ = -1;
};

}  // namespace vmsec::test
