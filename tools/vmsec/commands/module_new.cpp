// vmsec module new: the files of a module of one's own, which build, sign and are tested as they are.
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "commands/commands.hpp"
#include "output.hpp"
#include "templates.hpp"
#include "vmsec/fd.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

constexpr std::size_t kLongestName = 40;

Status check_name(const std::string& name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  const auto good = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '_'; };
  if (!name.empty() && name.size() <= kLongestName && letter(name.front()) && std::ranges::all_of(name, good))
    return {};
  return fail(Code::invalid_argument, "new module " + units::quoted(name) + ": want 1 to " +
                                          std::to_string(kLongestName) + " of a-z, 0-9 and _, a letter first");
}

// "disk_watch": "DiskWatch"
std::string class_name(const std::string& name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    if (c != '_') out += start ? static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c) : c;
    start = c == '_';
  }
  return out;
}

// The templates are a module of that name themselves.
std::string filled(std::string_view text, const std::string& name) {
  std::string out(text);
  const std::array<std::pair<std::string, std::string>, 2> words = {
      {{"my_module", name}, {"MyModule", class_name(name)}}};
  for (const auto& [word, value] : words)
    for (auto at = out.find(word); at != std::string::npos; at = out.find(word, at + value.size()))
      out.replace(at, word.size(), value);
  return out;
}

// Never over a file that is there.
Status write_new(const std::filesystem::path& file, const std::string& text, mode_t mode) {
  const std::string operation = "write " + file.string();
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  if (error) return fail(Code::io, operation + ": " + error.message());
  const Fd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!out.valid()) return fail(errno_error(operation, errno, errno == EEXIST ? Code::already_exists : Code::io));
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(out.get(), text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail(errno_error(operation));
    done += static_cast<std::size_t>(wrote);
  }
  return {};
}

Result<std::vector<std::string>> write_module(const std::string& name, std::string_view language,
                                              const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error))
    return fail(Code::already_exists, "new module " + name + ": folder " + folder.string() + " is there and not empty");
  std::vector<std::string> written;
  for (const Template& each : kTemplates) {
    if (each.language != "common" && each.language != language) continue;
    const auto file = folder / each.file;
    const bool is_program = each.text.starts_with("#!");
    VMSEC_CHECK(write_new(file, filled(each.text, name), is_program ? 0755 : 0644));
    written.push_back(file.string());
  }
  return written;
}

Ending new_module(Context& context, const std::string& name, const std::string& language, const std::string& folder) {
  VMSEC_CHECK(check_name(name));
  const std::string place = folder.empty() ? name : folder;
  VMSEC_TRY(const auto written, write_module(name, language, place));
  if (context.options.json) {
    Context::print_json({{"name", name}, {"folder", place}, {"files", written}});
    return Exit::ok;
  }
  for (const auto& file : written) std::printf("%s\n", safe(file).c_str());
  std::printf("\nnext: cmake -S %s -B %s/build && cmake --build %s/build && ctest --test-dir %s/build\n",
              safe(place).c_str(), safe(place).c_str(), safe(place).c_str(), safe(place).c_str());
  return Exit::ok;
}

}  // namespace

void add_module_new(CLI::App& module, Context& context) {
  auto name = std::make_shared<std::string>();
  auto language = std::make_shared<std::string>("c++");
  auto folder = std::make_shared<std::string>();
  auto* command = module.add_subcommand("new", "Write a module of one's own: sources, CMake, a test, how to sign it");
  command->add_option("NAME", *name, "Its name: a-z, 0-9 and _")->required();
  command->add_option("--language", *language, "Of the sources")
      ->check(CLI::IsMember({"c++", "c"}))
      ->capture_default_str();
  command->add_option("--folder", *folder, "Where; not there yet, or empty (NAME)")->type_name("DIR");
  command->footer(
      "Examples:\n  vmsec module new disk_watch\n  vmsec module new disk_watch --language c --folder src/disk_watch");
  context.on(command, [&context, name, language, folder] { return new_module(context, *name, *language, *folder); });
}

}  // namespace vmsec::cli
