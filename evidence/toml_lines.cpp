#include "toml_lines.hpp"

#include <optional>

namespace vmsec::boot {
namespace {

constexpr std::size_t kMaxKeys = 4;
constexpr std::size_t kMaxElements = 4096;
constexpr std::size_t kMaxText = 1024;
constexpr std::size_t kMaxDigits = 9;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_key(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-'; }

// An unpaired carriage return, a NUL, all other control characters, and all that is not ASCII.
bool is_foreign(char c, char next) {
  if (c == '\t' || c == '\n') return false;
  if (c == '\r') return next != '\n';
  return c < ' ' || c > '~';
}

class Parser {
 public:
  Parser(std::string_view text, TomlSink& sink) : text_(text), sink_(sink) {}

  Status parse() {
    VMSEC_CHECK(only_ascii());
    while (!at_end()) {
      skip_blanks();
      if (peek() == '[')
        VMSEC_CHECK(table());
      else if (is_key(peek()) || peek() == '"' || peek() == '\'')
        VMSEC_CHECK(assignment());
      VMSEC_CHECK(end_of_line());
    }
    return {};
  }

 private:
  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\0' : text_[at_]; }
  [[nodiscard]] std::unexpected<Error> bad(const std::string& cause) const { return sink_.bad(place_, cause); }
  [[nodiscard]] std::unexpected<Error> unexpected(const std::string& want) const {
    if (at_end()) return bad("the file ends, where " + want + " should be");
    if (peek() == '\n' || peek() == '\r') return bad("the line ends, where " + want + " should be");
    return bad(std::string("'") + peek() + "', where " + want + " should be");
  }

  void advance() {
    if (text_[at_++] == '\n') {
      ++place_.line;
      place_.column = 1;
    } else {
      ++place_.column;
    }
  }

  Status only_ascii() const {
    TextPlace place;
    for (std::size_t i = 0; i < text_.size(); ++i) {
      if (is_foreign(text_[i], i + 1 < text_.size() ? text_[i + 1] : '\0'))
        return sink_.bad(place, "a byte that is no printable ASCII");
      place = text_[i] == '\n' ? TextPlace{place.line + 1, 1} : TextPlace{place.line, place.column + 1};
    }
    return {};
  }

  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t') advance();
  }
  void skip_comment() {
    if (peek() != '#') return;
    while (!at_end() && peek() != '\n') advance();
  }
  // Within a list, which may go over several lines.
  void skip_space() {
    while (!at_end()) {
      skip_comment();
      if (peek() != ' ' && peek() != '\t' && peek() != '\r' && peek() != '\n') return;
      advance();
    }
  }

  Status end_of_line() {
    skip_blanks();
    skip_comment();
    if (peek() == '\r') advance();
    if (at_end()) return {};
    if (peek() != '\n') return unexpected("the end of the line");
    advance();
    return {};
  }

  Status expect(char c, const std::string& what) {
    skip_blanks();
    if (peek() != c || at_end()) return unexpected(what);
    advance();
    return {};
  }

  Result<TomlPath> path() {
    TomlPath keys;
    while (true) {
      skip_blanks();
      TomlKey key{{}, place_};
      while (is_key(peek())) {
        key.name += peek();
        advance();
      }
      if (key.name.empty()) return unexpected("a key of a-z A-Z 0-9 _ -");
      if (keys.size() == kMaxKeys) return bad("a key of more than " + std::to_string(kMaxKeys) + " parts");
      keys.push_back(std::move(key));
      skip_blanks();
      if (peek() != '.') return keys;
      advance();
    }
  }

  Status table() {
    VMSEC_CHECK(expect('[', "a table"));
    VMSEC_TRY(const auto keys, path());
    VMSEC_CHECK(expect(']', "the table's ']'"));
    return sink_.table(keys);
  }

  Status assignment() {
    VMSEC_TRY(const auto keys, path());
    VMSEC_CHECK(expect('=', "'='"));
    skip_blanks();
    const TextPlace place = place_;
    if (peek() == '[') {
      VMSEC_TRY(auto elements, list());
      return sink_.assignment(keys, {std::move(elements), place});
    }
    VMSEC_TRY(auto only, scalar());
    return sink_.assignment(keys, {std::move(only), place});
  }

  Result<std::vector<TomlScalar>> list() {
    std::vector<TomlScalar> elements;
    advance();
    while (true) {
      skip_space();
      if (peek() == ']') break;
      if (elements.size() == kMaxElements) return bad("a list of more than " + std::to_string(kMaxElements));
      VMSEC_TRY(auto element, scalar());
      elements.push_back(std::move(element));
      skip_space();
      if (peek() == ']') break;
      if (peek() != ',') return unexpected("',' or ']'");
      advance();
    }
    advance();
    return elements;
  }

  Result<TomlScalar> scalar() {
    const TextPlace place = place_;
    if (peek() == '"' || peek() == '\'') {
      VMSEC_TRY(auto value, quoted());
      return TomlScalar{std::move(value), place};
    }
    for (const bool truth : {true, false})
      if (word(truth ? "true" : "false")) return TomlScalar{truth, place};
    if (!is_digit(peek()) && peek() != '-' && peek() != '+') return unexpected("an integer, a text or a list");
    VMSEC_TRY(const auto value, integer());
    return TomlScalar{value, place};
  }

  // Whole: "trueish" is none.
  bool word(std::string_view wanted) {
    if (!text_.substr(at_).starts_with(wanted)) return false;
    const std::size_t behind = at_ + wanted.size();
    if (behind < text_.size() && is_key(text_[behind])) return false;
    while (at_ < behind) advance();
    return true;
  }

  Result<std::string> quoted() {
    const char quote = peek();
    std::string value;
    advance();
    while (peek() != quote) {
      if (at_end() || peek() == '\n') return unexpected("the text's end");
      if (peek() == '\\' && quote == '"') return bad("escapes are not known here");
      if (value.size() == kMaxText) return bad("a text of more than " + std::to_string(kMaxText) + " characters");
      value += peek();
      advance();
    }
    advance();
    return value;
  }

  Result<std::int64_t> integer() {
    const bool negative = peek() == '-';
    if (negative || peek() == '+') advance();
    std::int64_t value = 0;
    std::size_t digits = 0;
    while (is_digit(peek())) {
      if (digits == kMaxDigits) return bad("an integer of more than " + std::to_string(kMaxDigits) + " digits");
      if (digits == 1 && value == 0) return bad("an integer with a leading zero");
      value = value * 10 + (peek() - '0');
      ++digits;
      advance();
    }
    if (digits == 0) return unexpected("a digit");
    return negative ? -value : value;
  }

  std::string_view text_;
  TomlSink& sink_;
  std::size_t at_ = 0;
  TextPlace place_;
};

}  // namespace

Status parse_toml_lines(std::string_view text, TomlSink& sink) { return Parser(text, sink).parse(); }

}  // namespace vmsec::boot
