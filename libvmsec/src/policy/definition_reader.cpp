// From a definition's TOML to a DomainDefinition; everything that is not understood is a finding.
#include <algorithm>
#include <limits>
#include <map>

#include "policy/findings.hpp"
#include "policy/flatten.hpp"
#include "vmsec/definition.hpp"
#include "vmsec/units.hpp"

namespace vmsec {
namespace {

using policy::Place;
using Keys = std::initializer_list<std::string_view>;

std::string joined(Keys keys) {
  std::string out;
  for (const auto key : keys) out += (out.empty() ? "" : ", ") + std::string(key);
  return out;
}

class DefinitionReader {
 public:
  explicit DefinitionReader(policy::Sink& sink) : sink_(sink) {}

  DomainDefinition read(const toml::table& root) {
    only(
        root, {},
        {"version", "name", "uuid", "guest", "vcpus", "vcpus_maximum", "memory", "tpm", "tags", "boot", "disk", "nic"});
    version(root);
    top(root);
    if (const auto* node = root.get("boot")) boot(*node);
    each(root, "disk", [&](const toml::table& table, std::size_t) { disk(table); });
    each(root, "nic", [&](const toml::table& table, std::size_t index) { nic(table, index); });
    if (sink_.clean()) find_flaw_of(definition_);
    return std::move(definition_);
  }

 private:
  // Dotted keys make tables without a place of their own.
  static Place place(const toml::node& node) {
    const Place at = policy::place_of(node.source());
    return at.line == 0 ? Place{1, 1} : at;
  }
  static std::string below(const std::string& table, std::string_view key) {
    return table.empty() ? std::string(key) : table + "." + std::string(key);
  }

  void only(const toml::table& table, const std::string& path, Keys keys) {
    for (const auto& [key, node] : table)
      if (std::ranges::find(keys, key.str()) == keys.end())
        sink_.add(policy::place_of(key.source()),
                  below(path, policy::printable(key.str()).substr(0, 64)) + ": unknown key: want " + joined(keys));
  }

  void wrong(const toml::node& node, const std::string& path, std::string_view want) {
    sink_.add(place(node), path + " is " + std::string(policy::type_name(node)) + ": want " + std::string(want));
  }

  // The node of a key, whose place is noted under the path that a flaw would have.
  const toml::node* get(const toml::table& table, std::string_view key, const std::string& flaw_path) {
    const toml::node* node = table.get(key);
    if (node != nullptr) places_.try_emplace(flaw_path, place(*node));
    return node;
  }

  // Each leaves `out` as it is where the key is absent, or after a finding.
  void text(const toml::table& table, std::string_view key, const std::string& path, std::string& out) {
    const toml::node* node = get(table, key, path);
    if (node == nullptr) return;
    const auto* value = node->as_string();
    if (value == nullptr) return wrong(*node, path, "a text");
    if (value->get().empty()) return sink_.add(place(*node), path + " is empty: leave it out");
    out = value->get();
  }

  void flag(const toml::table& table, std::string_view key, const std::string& path, bool& out) {
    const toml::node* node = get(table, key, path);
    if (node == nullptr) return;
    const auto* value = node->as_boolean();
    if (value == nullptr) return wrong(*node, path, "true or false");
    out = value->get();
  }

  void number(const toml::table& table, std::string_view key, std::uint32_t& out) {
    const std::string path(key);
    const toml::node* node = get(table, key, path);
    if (node == nullptr) return;
    const auto* value = node->as_integer();
    if (value == nullptr) return wrong(*node, path, "a whole number");
    if (value->get() < 0 || value->get() > std::numeric_limits<std::uint32_t>::max())
      return sink_.add(place(*node), path + ": want 1 to 128");
    out = static_cast<std::uint32_t>(value->get());
  }

  template <class Choice>
  void choice(const toml::table& table, std::string_view key, const std::string& path,
              std::initializer_list<Choice> choices, Choice& out) {
    std::string value;
    text(table, key, path, value);
    if (value.empty()) return;
    std::string want;
    for (const Choice each : choices) {
      if (to_string(each) == value) {
        out = each;
        return;
      }
      want += (want.empty() ? "" : ", ") + std::string(to_string(each));
    }
    sink_.add(place(*table.get(key)), path + ": " + units::quoted(value) + " is none: want one of " + want);
  }

  void required(const toml::table& table, const std::string& path, Keys keys, Place at) {
    for (const auto key : keys)
      if (table.get(key) == nullptr) sink_.add(at, below(path, key) + " is missing");
  }

  void version(const toml::table& root) {
    const toml::node* node = root.get("version");
    if (node == nullptr) return sink_.add({1, 1}, "the version is missing: want version = 1");
    const auto* number = node->as_integer();
    if (number == nullptr) return wrong(*node, "version", "version = 1");
    if (number->get() != 1)
      sink_.add(place(*node), "version " + std::to_string(number->get()) + " is not known here: want version = 1");
  }

  void top(const toml::table& root) {
    required(root, {}, {"name", "vcpus", "memory"}, {1, 1});
    text(root, "name", "name", definition_.name);
    uuid(root);
    choice(root, "guest", "guest", {GuestKind::usual, GuestKind::hvm, GuestKind::pv, GuestKind::pvh},
           definition_.guest);
    number(root, "vcpus", definition_.vcpus);
    definition_.vcpus_maximum = definition_.vcpus;
    number(root, "vcpus_maximum", definition_.vcpus_maximum);
    if (places_.contains("vcpus")) places_.try_emplace("vcpus_maximum", places_.at("vcpus"));
    memory(root);
    flag(root, "tpm", "tpm", definition_.tpm);
    tags(root);
  }

  void uuid(const toml::table& root) {
    std::string value;
    text(root, "uuid", "uuid", value);
    if (value.empty()) return;
    const auto uuid = Uuid::parse(value);
    if (uuid && !uuid->is_nil()) {
      definition_.domain = *uuid;
      return;
    }
    sink_.add(place(*root.get("uuid")),
              "uuid: want 8-4-4-4-12 hexadecimal digits, not all zero; without it one is drawn");
  }

  void memory(const toml::table& root) {
    const toml::node* node = get(root, "memory", "memory");
    if (node == nullptr) return;
    const auto* value = node->as_string();
    if (value == nullptr) return wrong(*node, "memory", "a size such as \"512 MiB\"");
    const auto size = parse_size(value->get());
    if (!size) return sink_.add(place(*node), "memory: " + size.error().message);
    definition_.memory = *size;
  }

  void tags(const toml::table& root) {
    const toml::node* node = get(root, "tags", "tags");
    if (node == nullptr) return;
    const auto* list = node->as_array();
    if (list == nullptr) return wrong(*node, "tags", "a list of texts");
    for (const toml::node& element : *list) {
      const auto* value = element.as_string();
      if (value == nullptr) return wrong(element, "a tag", "a text");
      definition_.tags.push_back(value->get());
    }
  }

  void boot(const toml::node& node) {
    const auto* table = node.as_table();
    if (table == nullptr) return wrong(node, "boot", "[boot]");
    only(*table, "boot", {"firmware", "kernel", "initrd", "command_line"});
    choice(*table, "firmware", "boot.firmware", {Firmware::bios, Firmware::uefi}, definition_.boot.firmware);
    text(*table, "kernel", "boot.kernel", definition_.boot.kernel);
    text(*table, "initrd", "boot.initrd", definition_.boot.initrd);
    text(*table, "command_line", "boot.command_line", definition_.boot.command_line);
  }

  template <class Use>
  void each(const toml::table& root, std::string_view name, Use&& use) {
    const toml::node* node = get(root, name, std::string(name));
    if (node == nullptr) return;
    const std::string want = "[[" + std::string(name) + "]]";
    const auto* list = node->as_array();
    if (list == nullptr) return wrong(*node, std::string(name), want);
    std::size_t index = 0;
    for (const toml::node& element : *list) {
      if (const auto* table = element.as_table())
        use(*table, index++);
      else
        wrong(element, std::string(name), want);
    }
  }

  // A flaw names a disk by its target: "disk.vda.source".
  void disk(const toml::table& table) {
    only(table, "disk", {"target", "source", "format", "read_only"});
    required(table, "disk", {"target", "source"}, place(table));
    DefinedDisk disk;
    if (const auto* target = table.get("target"); target != nullptr && target->is_string())
      disk.target = target->as_string()->get();
    const bool known = definition_detail::is_target(disk.target);
    const std::string path = known ? "disk." + disk.target : "disk";
    note_disk(table, known ? path : "disk.target");
    text(table, "target", known ? path + ".target" : "disk.target", disk.target);
    text(table, "source", path + ".source", disk.source);
    choice(table, "format", path + ".format", {DiskFormat::raw, DiskFormat::qcow2}, disk.format);
    flag(table, "read_only", path + ".read_only", disk.read_only);
    definition_.disks.push_back(std::move(disk));
  }

  // Of two with one target the second is the flaw.
  void note_disk(const toml::table& table, const std::string& path) {
    const auto* target = table.get("target");
    const Place at = target != nullptr ? place(*target) : place(table);
    if (!places_.try_emplace(path, at).second && path != "disk.target") places_[path] = at;
  }

  void nic(const toml::table& table, std::size_t index) {
    const std::string path = "nic." + std::to_string(index);
    only(table, "nic", {"mac", "bridge"});
    required(table, "nic", {"mac"}, place(table));
    places_.try_emplace(path, place(table));
    DefinedNic nic;
    text(table, "mac", path + ".mac", nic.mac);
    text(table, "bridge", path + ".bridge", nic.bridge);
    definition_.nics.push_back(std::move(nic));
  }

  // Where the file has what the flaw is about, or the nearest table around it.
  [[nodiscard]] Place place_of(std::string path) const {
    while (true) {
      if (const auto found = places_.find(path); found != places_.end()) return found->second;
      const auto dot = path.rfind('.');
      if (dot == std::string::npos) return {1, 1};
      path.resize(dot);
    }
  }

  void find_flaw_of(DomainDefinition checked) {
    // Without a UUID one is drawn later.
    if (checked.domain.is_nil()) checked.domain = *Uuid::parse("00000000-0000-4000-8000-000000000001");
    if (const auto flaw = find_flaw(checked)) sink_.add(place_of(flaw->place), flaw->place + ": " + flaw->message);
  }

  policy::Sink& sink_;
  DomainDefinition definition_;
  std::map<std::string, Place> places_;
};

}  // namespace

Result<DomainDefinition> parse_definition(std::string_view text, std::string_view name) {
  policy::Sink sink;
  DomainDefinition definition;
  policy::with_toml(text, sink, [&](const toml::table& root) { definition = DefinitionReader(sink).read(root); });
  if (!sink.clean()) return fail(Code::invalid_argument, describe(sink.take(), name));
  return definition;
}

}  // namespace vmsec
