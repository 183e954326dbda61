#include "policy/text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "policy/findings.hpp"
#include "vmsec/fd.hpp"

namespace vmsec::policy {

namespace {

// Walks TOML's tokens just far enough to know what is inside of a string or a
// comment. Where the text is no TOML the parser stops at the same place.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::optional<Finding> run() {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
    while (at_ < text_.size()) {
      if (is_beyond_ascii(at_)) return finding("not TOML: only texts in quotes and comments go beyond ASCII");
      if (at_header() && !names_a_table()) return finding("not TOML: no name of a table follows [");
      const std::uint32_t line = line_;
      const std::uint32_t column = column_;
      if (const char* cause = step(); cause != nullptr) return Finding{line, column, cause};
    }
    return std::nullopt;
  }

 private:
  // The parser's test for whitespace is undefined for most characters beyond ASCII.
  [[nodiscard]] bool is_beyond_ascii(std::size_t at) const {
    return at < text_.size() && static_cast<unsigned char>(text_[at]) >= 0x80;
  }

  [[nodiscard]] bool at_header() const { return text_[at_] == '[' && open_.empty() && !line_has_value_; }

  // The parser takes for granted that a key follows, as it does that brackets
  // match: its assertions are assumptions in a release build.
  [[nodiscard]] bool names_a_table() const {
    std::size_t at = at_ + 1;
    const auto skip_blanks = [&] { at = std::min(text_.find_first_not_of(" \t", at), text_.size()); };
    skip_blanks();
    if (at < text_.size() && text_[at] == '[') {
      ++at;
      skip_blanks();
    }
    if (at == text_.size()) return true;  // the parser sees that it is cut
    const char c = text_[at];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-\"']").find(c) != std::string_view::npos;
  }

  // Past one token; why not, where it is refused.
  const char* step() {
    const char c = text_[at_];
    static constexpr std::string_view kOpens = "\"'[{";
    if (in_value() && (c == '=' || (kOpens.find(c) != std::string_view::npos && !begins_value())))
      return "not TOML: this cannot stand within a value";
    if (c == '"' || c == '\'') return skip_string(c);
    if (c == '#') {
      while (at_ < text_.size() && text_[at_] != '\n') advance();
      return nullptr;
    }
    advance();
    return punctuation(c);
  }

  const char* punctuation(char c) {
    static constexpr const char* kDeep = "tables or arrays nest too deeply: at most 16 levels";
    if (c == '.') return ++dots_ > PolicyLimits::kDepth ? kDeep : nullptr;
    static constexpr std::string_view kEndsKey = "[]{}=,\n";
    if (kEndsKey.find(c) != std::string_view::npos) dots_ = 0;
    if (c == '[' || c == '{') {
      open_ += c == '[' && !in_value() ? 'h' : c;
      return open_.size() > PolicyLimits::kDepth ? kDeep : nullptr;
    }
    if (c == ']' || c == '}') {
      static constexpr std::string_view kBrackets = "[h";
      static constexpr std::string_view kBraces = "{=";
      if (open_.empty() || (c == ']' ? kBrackets : kBraces).find(open_.back()) == std::string_view::npos)
        return "not TOML: this closes nothing that is open";
      open_.pop_back();
      return nullptr;
    }
    if (open_.empty()) line_has_value_ = c == '=' || (line_has_value_ && c != '\n');
    if (!open_.empty() && open_.back() == '{' && c == '=') open_.back() = '=';
    if (!open_.empty() && open_.back() == '=' && c == ',') open_.back() = '{';
    return nullptr;
  }

  [[nodiscard]] bool in_value() const {
    return open_.empty() ? line_has_value_ : open_.back() == '[' || open_.back() == '=';
  }

  // While the parser guesses what a bare value is, it runs on into what does not.
  [[nodiscard]] bool begins_value() const {
    return at_ == 0 || std::string_view(" \t\r\n[,=").find(text_[at_ - 1]) != std::string_view::npos;
  }

  const char* skip_string(char quote) {
    const std::string triple(3, quote);
    if (text_.substr(at_).starts_with(triple)) return skip_long_string(quote, triple);
    advance();
    while (at_ < text_.size() && text_[at_] != '\n') {  // a newline ends it: the parser refuses such a string
      const char c = text_[at_];
      advance();
      if (c == quote) break;
      if (c == '\\' && quote == '"' && at_ < text_.size() && text_[at_] != '\n') advance();
    }
    return nullptr;
  }

  const char* skip_long_string(char quote, const std::string& triple) {
    for (int i = 0; i < 3; ++i) advance();
    while (at_ < text_.size()) {
      if (text_.substr(at_).starts_with(triple)) {
        // Up to two more quotes still belong to the string.
        for (int i = 0; i < 5 && at_ < text_.size() && text_[at_] == quote; ++i) advance();
        break;
      }
      const char c = text_[at_];
      advance();
      if (c != '\\' || quote != '"' || at_ == text_.size()) continue;
      // A backslash joins lines: the parser tests what follows for whitespace.
      if (is_beyond_ascii(std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size())))
        return "a character beyond ASCII follows a backslash of this text: not read here";
      advance();
    }
    return nullptr;
  }

  void advance() {
    const bool newline = text_[at_] == '\n';
    const bool continues = (static_cast<unsigned char>(text_[at_++]) & 0xc0) == 0x80;
    line_ += newline ? 1 : 0;
    column_ = newline ? 1 : column_ + (continues ? 0 : 1);
  }

  [[nodiscard]] Finding finding(std::string message) const { return {line_, column_, std::move(message)}; }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t dots_ = 0;
  // What is open: a list [, a header h, an inline table before { and behind = its sign.
  std::string open_;
  bool line_has_value_ = false;  // outside of brackets: a = came before on this line
  std::uint32_t line_ = 1;
  std::uint32_t column_ = 1;
};

std::optional<Finding> find_bad_character(std::string_view text) {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  for (std::size_t at = 0; at < text.size();) {
    if (text[at] == '\0') return Finding{line, column, "the file has a NUL"};
    const std::size_t length = utf8_length(text.substr(at));
    if (length == 0) return Finding{line, column, "the file is not UTF-8"};
    const bool newline = text[at] == '\n';
    line += newline ? 1 : 0;
    column = newline ? 1 : column + 1;
    at += length;
  }
  return std::nullopt;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool beyond = lead == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

std::optional<Finding> find_hostile_text(std::string_view text) {
  if (text.size() > PolicyLimits::kFileSize)
    return Finding{0, 0, "the file has " + std::to_string(text.size()) + " bytes; at most 1048576 are read"};
  if (auto bad = find_bad_character(text)) return bad;
  return Scanner(text).run();
}

namespace {

// A name that leads to no file is the caller's mistake; a file that cannot be read is not.
Code code_of(int number) {
  switch (number) {
    case ENOENT:
      return Code::not_found;
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case ENOTDIR:
      return Code::invalid_argument;
    default:
      return Code::io;
  }
}

}  // namespace

Result<std::string> read_text(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return fail(errno_error("open " + path, errno, code_of(errno)));
  std::string text(PolicyLimits::kFileSize + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno_error("read " + path, errno, code_of(errno)));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > PolicyLimits::kFileSize)
    return fail(Code::limit_exceeded, "read " + path + ": it has more than 1048576 bytes");
  text.resize(size);
  return text;
}

}  // namespace vmsec::policy
