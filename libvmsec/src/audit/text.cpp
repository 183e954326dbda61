#include "audit/text.hpp"

#include "identity/files.hpp"

namespace vmsec::audit {
namespace {

// Bytes of the UTF-8 character that begins there; 0: it is none.
std::size_t character(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool beyond = (lead == 0xed && byte(1) > 0x9f) || (lead == 0xf4 && byte(1) > 0x8f);
  return overlong || beyond ? 0 : size;
}

}  // namespace

std::string clean_text(std::string_view text, std::size_t limit) {
  static constexpr std::string_view kCut = " [cut]";
  std::string out;
  while (!text.empty()) {
    const std::size_t size = character(text);
    if (out.size() + std::max<std::size_t>(size, 1) > limit) {
      while (out.size() + kCut.size() > limit) {
        // Whole characters only.
        while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
        if (!out.empty()) out.pop_back();
      }
      return out.append(kCut);
    }
    size == 0 ? out += '?' : out.append(text.substr(0, size));
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

AuditEntry clean_entry(const AuditEntry& entry) {
  AuditEntry out = entry;
  out.action = clean_text(entry.action, 128);
  out.peer = clean_text(entry.peer, 128);
  out.detail = clean_text(entry.detail, kMaxAuditDetail);
  return out;
}

std::filesystem::path head_file(const std::filesystem::path& log) { return log.parent_path() / "audit.head"; }

Result<std::optional<AuditRecord>> read_head(const std::filesystem::path& log) {
  const auto file = head_file(log);
  auto text = identity::read_file(file);
  if (!text && text.error().code == Code::not_found) return std::optional<AuditRecord>();
  if (!text) return fail(text.error());
  if (text->ends_with('\n')) text->pop_back();
  auto record = parse_audit_line(*text);
  if (record && record->kind == AuditKind::checkpoint) return std::optional(std::move(*record));
  return fail(Code::tampered, file.string() + ": not a checkpoint");
}

}  // namespace vmsec::audit
