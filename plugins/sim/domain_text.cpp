#include <array>
#include <charconv>

#include "domain_spec.hpp"

namespace vmsec::sim {
namespace {

// Texts that parse_domain() accepts hold no control characters.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

// The shortest text that reads back as the same number; TOML wants a point.
std::string real(double value) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  std::string text(buffer.data(), end);
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

class Writer {
 public:
  void line(std::string_view key, const std::string& value) { text_ += std::string(key) + " = " + value + "\n"; }
  void line(std::string_view key, std::uint64_t value) { line(key, std::to_string(value)); }
  void table(std::string_view header) { text_ += "\n" + std::string(header) + "\n"; }
  [[nodiscard]] std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace

std::string write_domain(const DomainSpec& spec) {
  Writer out;
  out.line("name", quoted(spec.name));
  out.line("uuid", quoted(spec.uuid.text()));
  out.line("memory", spec.memory.value);
  out.line("vcpus", spec.vcpus);
  out.line("vcpus_maximum", spec.vcpus_maximum);
  out.line("seed", spec.seed);
  out.line("tpm", std::string(spec.tpm ? "true" : "false"));
  std::string tags;
  for (const auto& tag : spec.tags) tags += (tags.empty() ? "" : ", ") + quoted(tag);
  out.line("tags", "[" + tags + "]");
  out.table("[workload]");
  out.line("pattern", quoted(to_string(spec.workload.pattern)));
  out.line("dirty_rate", spec.workload.dirty_rate);
  out.line("hot_fraction", real(spec.workload.hot_fraction));
  out.line("fill", real(spec.workload.fill));
  out.line("cpu", real(spec.workload.cpu));
  out.line("marker", quoted(spec.workload.marker));
  for (const auto& disk : spec.disks) {
    out.table("[[disk]]");
    out.line("target", quoted(disk.target));
    out.line("source", quoted(disk.source));
    if (disk.capacity.value != 0) out.line("capacity", disk.capacity.value);
    out.line("read", disk.read.value);
    out.line("write", disk.write.value);
    out.line("block", disk.block.value);
  }
  for (const auto& nic : spec.nics) {
    out.table("[[nic]]");
    out.line("target", quoted(nic.target));
    out.line("mac", quoted(nic.mac));
    out.line("receive", nic.receive.value);
    out.line("transmit", nic.transmit.value);
  }
  return std::move(out).text();
}

}  // namespace vmsec::sim
