// A DomainDefinition as the file that parse_definition() reads.
#include "vmsec/definition.hpp"
#include "vmsec/units.hpp"

namespace vmsec {
namespace {

// Also what no definition holds is written so that it stays within its quotes.
std::string quoted(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') out += '\\';
    if (byte < 0x20 || byte == 0x7f)
      out += std::string("\\u00") + kDigits[byte >> 4] + kDigits[byte & 15];
    else
      out += c;
  }
  return out + "\"";
}

class Writer {
 public:
  void line(std::string_view key, const std::string& value) { text_ += std::string(key) + " = " + value + "\n"; }
  void text(std::string_view key, std::string_view value) {
    if (!value.empty()) line(key, quoted(value));
  }
  void table(std::string_view header) { text_ += "\n" + std::string(header) + "\n"; }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

void write_boot(Writer& out, const Boot& boot) {
  if (boot == Boot{}) return;
  out.table("[boot]");
  if (boot.firmware != Firmware::none) out.text("firmware", to_string(boot.firmware));
  out.text("kernel", boot.kernel);
  out.text("initrd", boot.initrd);
  out.text("command_line", boot.command_line);
}

}  // namespace

std::string write_definition(const DomainDefinition& definition) {
  Writer out;
  out.line("version", "1");
  out.text("name", definition.name);
  if (!definition.domain.is_nil()) out.text("uuid", definition.domain.text());
  if (definition.guest != GuestKind::usual) out.text("guest", to_string(definition.guest));
  out.line("vcpus", std::to_string(definition.vcpus));
  if (definition.vcpus_maximum != definition.vcpus) out.line("vcpus_maximum", std::to_string(definition.vcpus_maximum));
  out.text("memory", to_text(definition.memory));
  if (definition.tpm) out.line("tpm", "true");
  std::string tags;
  for (const auto& tag : definition.tags) tags += (tags.empty() ? "" : ", ") + quoted(tag);
  if (!tags.empty()) out.line("tags", "[" + tags + "]");
  write_boot(out, definition.boot);
  for (const auto& disk : definition.disks) {
    out.table("[[disk]]");
    out.text("target", disk.target);
    out.text("source", disk.source);
    if (disk.format != DiskFormat::raw) out.text("format", to_string(disk.format));
    if (disk.read_only) out.line("read_only", "true");
  }
  for (const auto& nic : definition.nics) {
    out.table("[[nic]]");
    out.text("mac", nic.mac);
    out.text("bridge", nic.bridge);
  }
  return out.take();
}

}  // namespace vmsec
