#include "allow_file.hpp"

#include "bytes.hpp"
#include "digest.hpp"
#include "files.hpp"

namespace vmsec::boot {
namespace {

// "HEX  name", "HEX *name"; nullopt for anything else.
std::optional<std::string> digest_of_line(std::string_view line) {
  constexpr std::size_t kDigits = 2 * kSha256Size;
  if (line.size() < kDigits + 3 || line[kDigits] != ' ') return std::nullopt;
  if (line[kDigits + 1] != ' ' && line[kDigits + 1] != '*') return std::nullopt;
  return from_hex(line.substr(0, kDigits));
}

}  // namespace

Status add_allowed(std::string_view text, const std::string& file, ImaReference& ima) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    auto digest = digest_of_line(line);
    if (!digest)
      return fail(Code::invalid_argument, "allow list " + file + ":" + std::to_string(number) +
                                              ": want a line of sha256sum: 64 hexadecimal digits, two blanks, a name");
    ima.digests.insert(std::move(*digest));
  }
  ima.file_read = true;
  return {};
}

Status read_allow_file(const std::string& path, ImaReference& ima) {
  const std::string file = path.substr(0, path.rfind('/') + 1) + ima.file;
  VMSEC_TRY(const auto text, read_file(file, kMaxAllowListBytes, "allow list"));
  VMSEC_TRY(const auto is, sha256({text}));
  if (!equal(is, ima.file_digest))
    return fail(Code::tampered, "allow list " + file + " has the SHA-256 " + to_hex(is) + ", the reference says " +
                                    to_hex(ima.file_digest));
  return add_allowed(text, file, ima);
}

}  // namespace vmsec::boot
