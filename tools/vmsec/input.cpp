#include "input.hpp"

#include "vmsec/fd.hpp"

namespace vmsec::cli {

Result<std::string> read_input(const std::string& what, const std::string& file, std::size_t limit) {
  const std::string operation = "read " + what + " " + file;
  const auto failed = [&] { return fail(errno_error(operation, errno, Code::invalid_argument)); };
  const Fd in(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!in.valid()) return failed();
  std::string text(limit + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(in.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed();
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > limit)
    return fail(Code::limit_exceeded, operation + ": it has more than " + std::to_string(limit) + " bytes");
  text.resize(size);
  return text;
}

}  // namespace vmsec::cli
