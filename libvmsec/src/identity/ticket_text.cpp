#include <cstdint>

#include "vmsec/ticket.hpp"

namespace vmsec {
namespace {

constexpr std::string_view kBegin = "-----BEGIN VMSEC MIGRATION TICKET-----";
constexpr std::string_view kEnd = "-----END VMSEC MIGRATION TICKET-----";
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kLine = 64;
constexpr std::size_t kMaximumText = 2 * kMaxTicketBytes;

std::unexpected<Error> unreadable(const std::string& cause) {
  return fail(Code::invalid_argument, "read ticket: " + cause);
}

std::string_view without_space(std::string_view line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
  return line;
}

// The canonical form only: full groups of four, padding at the end, no spare bits set.
Result<std::string> decode(std::string_view digits) {
  if (digits.empty() || digits.size() % 4 != 0) return unreadable("its base64 text is cut short");
  std::size_t padding = 0;
  while (padding < 2 && digits[digits.size() - 1 - padding] == '=') ++padding;
  std::string bytes;
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    std::size_t value = 0;
    if (i < digits.size() - padding) {
      value = kAlphabet.find(digits[i]);
      if (value == std::string_view::npos) return unreadable("a character that is not base64");
    }
    group = group << 6 | static_cast<std::uint32_t>(value);
    if (i % 4 != 3) continue;
    for (int shift = 16; shift >= 0; shift -= 8) bytes += static_cast<char>(group >> shift & 0xff);
    group = 0;
  }
  for (std::size_t i = 0; i < padding; ++i) {
    if (bytes.back() != '\0') return unreadable("its base64 text ends in spare bits");
    bytes.pop_back();
  }
  return bytes;
}

}  // namespace

std::string ticket_text(std::string_view ticket) {
  std::string digits;
  for (std::size_t i = 0; i < ticket.size(); i += 3) {
    const std::string_view part = ticket.substr(i, 3);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (k < part.size() ? static_cast<unsigned char>(part[k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) digits += k <= part.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  std::string text(kBegin);
  text += '\n';
  for (std::size_t i = 0; i < digits.size(); i += kLine) text += digits.substr(i, kLine) + "\n";
  return text + std::string(kEnd) + "\n";
}

Result<std::string> parse_ticket_text(std::string_view text) {
  if (text.size() > kMaximumText)
    return unreadable("it has " + std::to_string(text.size()) + " bytes, at most " + std::to_string(kMaximumText) +
                      " make sense");
  enum class Place { before, within, after } place = Place::before;
  std::string digits;
  std::size_t number = 0;
  while (!text.empty()) {
    ++number;
    const auto newline = text.find('\n');
    const std::string_view line = without_space(text.substr(0, newline));
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    const std::string where = "line " + std::to_string(number) + ": ";
    if (place == Place::within && line == kEnd) {
      place = Place::after;
    } else if (place == Place::within) {
      if (line.size() > kLine) return unreadable(where + "longer than " + std::to_string(kLine) + " characters");
      digits += line;
    } else if (place == Place::before && line == kBegin) {
      place = Place::within;
    } else if (!line.empty()) {
      return unreadable(where +
                        (place == Place::after ? "text after the ticket" : "want \"" + std::string(kBegin) + "\""));
    }
  }
  if (place == Place::before) return unreadable("it is empty");
  if (place == Place::within) return unreadable("the line \"" + std::string(kEnd) + "\" is missing");
  return decode(digits);
}

}  // namespace vmsec
