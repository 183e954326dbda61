#include "audit/rotated.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "vmsec/fd.hpp"

namespace vmsec {
namespace fs = std::filesystem;

namespace {
constexpr std::size_t kDigits = 20;  // so that names sort as numbers do
}  // namespace

std::vector<fs::path> rotated_audit_files(const fs::path& log) {
  std::vector<fs::path> found;
  const std::string begin = log.filename().string() + ".";
  std::error_code error;
  const fs::path folder = log.has_parent_path() ? log.parent_path() : fs::path(".");
  fs::directory_iterator each(folder, error);
  for (; !error && each != fs::directory_iterator(); each.increment(error)) {
    const std::string name = each->path().filename();
    if (name.size() == begin.size() + kDigits && name.starts_with(begin) &&
        name.find_first_not_of("0123456789", begin.size()) == std::string::npos)
      found.push_back(each->path());
  }
  std::ranges::sort(found);
  return found;
}

namespace audit {

fs::path rotated_file(const fs::path& log, std::uint64_t first) {
  std::array<char, kDigits + 1> number{};
  std::snprintf(number.data(), number.size(), "%020llu", static_cast<unsigned long long>(first));
  return log.string() + "." + number.data();
}

bool is_same_file(const fs::path& file, int fd) {
  struct stat ours{};
  struct stat there{};
  return ::fstat(fd, &ours) == 0 && ::lstat(file.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
         ours.st_dev == there.st_dev;
}

Status walk_rotated(const fs::path& log, Chain& chain, const Chain::Visit& visit, fs::path& bad) {
  for (const fs::path& file : rotated_audit_files(log)) {
    bad = file;
    const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (!fd.valid()) return fail(errno_error("read " + file.filename().string()));
    const auto walked = chain.walk(fd.get(), visit);
    if (!walked) return fail(walked.error().in(file.filename().string()));
    const std::string name = file.filename().string() + ": ";
    // It was signed to its end before it was rotated.
    if (*walked != Tail::clean || chain.unsigned_records > 0)
      return fail(Code::tampered, name + "it does not end with a checkpoint: it was cut");
    if (rotated_file(log, chain.file_first) != file) return fail(Code::tampered, name + "it is another file's copy");
    chain.begin_file();
  }
  bad.clear();
  return {};
}

}  // namespace audit
}  // namespace vmsec
