#include "policy/findings.hpp"

#include <algorithm>
#include <tuple>

#include "policy/text.hpp"

namespace vmsec {

namespace policy {

Findings Sink::take() {
  std::ranges::sort(findings_.findings, [](const Finding& a, const Finding& b) {
    return std::tie(a.line, a.column, a.message) < std::tie(b.line, b.column, b.message);
  });
  return std::move(findings_);
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text.substr(at));
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || byte < 0x20 || byte == 0x7f) {
      out += '?';
      ++at;
      continue;
    }
    out += text.substr(at, length);
    at += length;
  }
  return out;
}

}  // namespace policy

std::string describe(const Findings& findings, std::string_view file_name) {
  std::string out;
  for (const Finding& finding : findings.findings) {
    if (!out.empty()) out += '\n';
    out += std::string(file_name);
    if (finding.line != 0) out += ":" + std::to_string(finding.line) + ":" + std::to_string(finding.column);
    out += ": " + finding.message;
  }
  return out;
}

}  // namespace vmsec
