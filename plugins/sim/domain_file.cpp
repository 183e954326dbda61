#include <algorithm>
#include <set>

#include "domain_spec.hpp"
#include "toml_reader.hpp"
#include "units.hpp"

namespace vmsec::sim {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;

bool is_name(std::string_view text) {
  const auto allowed = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '+';
  };
  return !text.empty() && text.front() != '.' && text.front() != '-' && std::ranges::all_of(text, allowed);
}

Status read_name(const TomlTable& table, std::string_view key, std::size_t longest, std::string& out) {
  VMSEC_CHECK(table.text(key, Need::required, longest, out));
  if (!is_name(out)) return table.bad(key, "want letters, digits, '-', '_', '+' and '.'");
  return {};
}

bool is_mac(std::string_view text) {
  if (text.size() != 17) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i % 3 == 2 ? text[i] != ':' : std::string_view("0123456789abcdef").find(text[i]) == std::string_view::npos)
      return false;
  }
  return true;
}

// A plain name, or an absolute path in its normal form: nothing that climbs.
bool is_source(std::string_view text) {
  if (!text.starts_with('/')) return is_name(text);
  while (!text.empty()) {
    text.remove_prefix(1);
    const auto part = text.substr(0, text.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    text.remove_prefix(part.size());
  }
  return true;
}

Result<Pattern> read_pattern(const TomlTable& table) {
  std::string text(to_string(Pattern::uniform));
  VMSEC_CHECK(table.text("pattern", Need::optional, 16, text));
  for (const Pattern pattern : {Pattern::idle, Pattern::uniform, Pattern::hot, Pattern::sequential})
    if (text == to_string(pattern)) return pattern;
  return table.bad("pattern", "want \"idle\", \"uniform\", \"hot\" or \"sequential\"");
}

Status read_workload(const TomlTable& domain, CpuWorkload& out) {
  VMSEC_TRY(const auto table, domain.table("workload"));
  if (!table) return {};
  VMSEC_CHECK(table->only({"pattern", "dirty_rate", "hot_fraction", "fill", "cpu", "marker"}));
  VMSEC_TRY(out.pattern, read_pattern(*table));
  VMSEC_CHECK(table->number("dirty_rate", Need::optional, {0, 10'000'000}, out.dirty_rate));
  VMSEC_CHECK(table->fraction("hot_fraction", out.hot_fraction));
  VMSEC_CHECK(table->fraction("fill", out.fill));
  VMSEC_CHECK(table->fraction("cpu", out.cpu));
  return table->text("marker", Need::optional, 64, out.marker);
}

Result<DiskSpec> read_disk(const TomlTable& table) {
  DiskSpec disk;
  VMSEC_CHECK(table.only({"target", "source", "capacity", "read", "write", "block"}));
  VMSEC_CHECK(read_name(table, "target", 32, disk.target));
  VMSEC_CHECK(table.text("source", Need::required, 1024, disk.source));
  if (!is_source(disk.source)) return table.bad("source", "want a file name, or an absolute path without \"..\"");
  // A file that is named by its path may be there, with a size of its own.
  const Need capacity = disk.source.starts_with('/') ? Need::optional : Need::required;
  VMSEC_CHECK(table.size("capacity", capacity, {kPage, 64 * kTiB}, disk.capacity.value));
  VMSEC_CHECK(table.rate("read", disk.read.value));
  VMSEC_CHECK(table.rate("write", disk.write.value));
  if (disk.capacity.value != 0) disk.block.value = std::min(disk.block.value, disk.capacity.value);
  VMSEC_CHECK(table.size("block", Need::optional, {512, common::kMebibyte}, disk.block.value));
  if (disk.capacity.value != 0 && disk.block > disk.capacity)
    return table.bad("block", "more than the disk's capacity");
  return disk;
}

Result<NicSpec> read_nic(const TomlTable& table) {
  NicSpec nic;
  VMSEC_CHECK(table.only({"target", "mac", "receive", "transmit"}));
  VMSEC_CHECK(read_name(table, "target", 32, nic.target));
  VMSEC_CHECK(table.text("mac", Need::required, 17, nic.mac));
  if (!is_mac(nic.mac)) return table.bad("mac", "want xx:xx:xx:xx:xx:xx in lower case");
  VMSEC_CHECK(table.rate("receive", nic.receive.value));
  VMSEC_CHECK(table.rate("transmit", nic.transmit.value));
  return nic;
}

template <class Spec, class Read>
Status read_devices(const TomlTable& domain, std::string_view key, Read&& read, std::vector<Spec>& out) {
  VMSEC_TRY(const auto tables, domain.tables(key, 26));
  std::set<std::string> targets;
  for (const auto& table : tables) {
    VMSEC_TRY(Spec spec, read(table));
    if (!targets.insert(spec.target).second) return table.bad("target", "a second one of this name");
    out.push_back(std::move(spec));
  }
  return {};
}

Status read_vcpus(const TomlTable& table, DomainSpec& spec) {
  constexpr std::uint64_t kMost = 128;
  std::uint64_t vcpus = 1;
  VMSEC_CHECK(table.number("vcpus", Need::optional, {1, kMost}, vcpus));
  std::uint64_t maximum = vcpus;
  VMSEC_CHECK(table.number("vcpus_maximum", Need::optional, {vcpus, kMost}, maximum));
  spec.vcpus = static_cast<std::uint32_t>(vcpus);
  spec.vcpus_maximum = static_cast<std::uint32_t>(maximum);
  return {};
}

Result<DomainSpec> read_domain(const TomlTable& table) {
  DomainSpec spec;
  VMSEC_CHECK(table.only(
      {"name", "uuid", "memory", "vcpus", "vcpus_maximum", "seed", "tpm", "tags", "workload", "disk", "nic"}));
  VMSEC_CHECK(read_name(table, "name", 64, spec.name));
  std::string uuid;
  VMSEC_CHECK(table.text("uuid", Need::required, 36, uuid));
  const auto parsed = Uuid::parse(uuid);
  if (!parsed || parsed->is_nil()) return table.bad("uuid", "want a UUID, 8-4-4-4-12 digits, not all zero");
  spec.uuid = *parsed;
  VMSEC_CHECK(table.size("memory", Need::required, {common::kMebibyte, 16 * kTiB}, spec.memory.value));
  if (spec.memory.value % kPage != 0) return table.bad("memory", "want a multiple of 4096 bytes");
  VMSEC_CHECK(read_vcpus(table, spec));
  VMSEC_CHECK(table.number("seed", Need::optional, {0, INT64_MAX}, spec.seed));
  VMSEC_CHECK(table.boolean("tpm", spec.tpm));
  VMSEC_CHECK(table.texts("tags", 64, 64, spec.tags));
  VMSEC_CHECK(read_workload(table, spec.workload));
  VMSEC_CHECK(read_devices(table, "disk", read_disk, spec.disks));
  VMSEC_CHECK(read_devices(table, "nic", read_nic, spec.nics));
  return spec;
}

}  // namespace

std::string_view to_string(Pattern pattern) {
  switch (pattern) {
    case Pattern::idle:
      return "idle";
    case Pattern::uniform:
      return "uniform";
    case Pattern::hot:
      return "hot";
    case Pattern::sequential:
      return "sequential";
  }
  return "unknown";
}

namespace {

// The parser is undefined for most characters beyond ASCII that stand outside of quotes, and nothing in these files
// needs one.
Status check_ascii(std::string_view text, const std::string& file) {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80)
      return fail(Code::invalid_argument,
                  file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": a character beyond ASCII");
    line += c == '\n' ? 1 : 0;
    column = c == '\n' ? 1 : column + 1;
  }
  return {};
}

}  // namespace

Result<DomainSpec> parse_domain(std::string_view text, std::string_view name) {
  const std::string file(name);
  if (text.size() > kDomainFileMaximum)
    return fail(Code::invalid_argument, file + ": longer than " + std::to_string(kDomainFileMaximum) + " bytes");
  VMSEC_CHECK(check_ascii(text, file));
  const auto document = toml::parse(text, file);
  if (!document) {
    const auto& place = document.error().source().begin;
    return fail(Code::invalid_argument, file + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) +
                                            ": " + std::string(document.error().description()));
  }
  return read_domain(TomlTable(document.table(), name, ""));
}

}  // namespace vmsec::sim
