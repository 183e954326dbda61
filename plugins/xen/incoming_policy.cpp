#include "incoming_policy.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "host_path.hpp"
#include "incoming_rules.hpp"
#include "text.hpp"
#include "units.hpp"

namespace vmsec::xen {
namespace {

using common::PathUse;
using common::shown;
using nlohmann::json;

constexpr std::size_t kJsonLimit = 64 * 1024;
constexpr std::size_t kTextLimit = 4096;
constexpr std::size_t kNameLimit = 64;
constexpr std::size_t kElementLimit = 1024;
constexpr int kDepthLimit = 8;
constexpr std::uint64_t kLargestNumber = 2147483647;

std::unexpected<Error> denied(const std::string& path, const std::string& cause) {
  return fail(Code::denied, path + ": " + cause);
}

bool is_word(std::string_view value, std::string_view extra) {
  return !value.empty() && value.size() <= kNameLimit && std::ranges::all_of(value, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || extra.contains(c);
  });
}

// A value as the rules write it.
std::string text_of(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  return value.is_number_unsigned() ? std::to_string(value.get<std::uint64_t>()) : std::string();
}

class Checker {
 public:
  Checker(const IncomingPolicy& policy, const DomainDescription& description)
      : policy_(policy), description_(description) {}

  // `rule` names list elements "[]", `path` by their number.
  Status check(const json& value, const std::string& rule, const std::string& path, int depth) {
    if (depth > kDepthLimit) return denied(path, "nested too deeply");
    if (value.is_object()) return members(value, rule, path, depth);
    const auto rules = incoming_rules();
    const auto found = std::ranges::find(rules, rule, &Rule::path);
    if (found != rules.end()) return leaf(value, *found, path);
    if (!value.is_array()) return denied(path, "is not in the list of what this host accepts");
    if (value.size() > kElementLimit) return denied(path, "has too many elements");
    for (std::size_t i = 0; i < value.size(); ++i)
      VMSEC_CHECK(check(value[i], rule + "[]", path + "[" + std::to_string(i) + "]", depth + 1));
    return {};
  }

  [[nodiscard]] Status complete() const {
    if (named_ && identified_ && sized_ && counted_) return {};
    return denied("configuration", "wants c_info.name, c_info.uuid, b_info.max_memkb and b_info.max_vcpus");
  }

 private:
  Status members(const json& value, const std::string& rule, const std::string& path, int depth) {
    // libxl writes empty objects where it has nothing to say; in a list, one is a device.
    const bool nothing = value.empty() && !rule.ends_with("[]") && !path.ends_with('?');
    if (!rule.empty() && !nothing && !known_below(rule))
      return denied(path, "is not in the list of what this host accepts");
    for (const auto& [key, member] : value.items()) {
      // Only libxl's unions have a dot in a key: elsewhere it would look like another key's path.
      const bool plain = is_word(key, "_") || (rule == "b_info" && (key == "type.pv" || key == "type.pvh"));
      const std::string name = plain ? key : "?";
      VMSEC_CHECK(
          check(member, rule.empty() ? name : rule + "." + name, path.empty() ? name : path + "." + name, depth + 1));
    }
    return {};
  }

  static bool known_below(const std::string& rule) {
    return std::ranges::any_of(incoming_rules(), [&](const Rule& each) { return each.path.starts_with(rule + "."); });
  }

  Status leaf(const json& value, const Rule& rule, const std::string& path) {
    switch (rule.kind) {
      case ValueKind::number:
        return in_range(value, kLargestNumber) ? Status() : denied(path, "is no number up to 2147483647");
      case ValueKind::vcpu_list:
        return vcpu_list(value, path);
      case ValueKind::memory_at_most:
        if (in_range(value, description_.memory.value / common::kKibibyte)) return {};
        return denied(path, "is more than the description's");
      case ValueKind::vcpus:
        return same_number(value, description_.vcpus, counted_, path);
      case ValueKind::memory:
        return same_number(value, description_.memory.value / common::kKibibyte, sized_, path);
      case ValueKind::flag:
        return words(value, " True False <default> ", path);
      case ValueKind::one_of:
        return words(value, rule.words, path);
      default:
        break;
    }
    if (!value.is_string()) return denied(path, "is no text");
    return text(value.get<std::string>(), rule.kind, path);
  }

  Status text(const std::string& given, ValueKind kind, const std::string& path) {
    switch (kind) {
      case ValueKind::word:
        return is_word(given, "_-:.<>") ? Status() : denied(path, shown(given) + " is no plain word");
      case ValueKind::text:
        if (given.size() > kTextLimit || given.contains('\0')) return denied(path, "is too long, or no text");
        return {};
      case ValueKind::name:
        named_ = true;
        return given == description_.name ? Status() : denied(path, shown(given) + " is not the domain's name");
      case ValueKind::uuid:
        identified_ = true;
        return given == description_.domain.text() ? Status()
                                                   : denied(path, shown(given) + " is not the domain's UUID");
      case ValueKind::disk:
        return below(given, policy_.disk_roots, "incoming.disk_roots",
                     given.starts_with("/dev/") ? PathUse::device : PathUse::data, path);
      case ValueKind::kernel:
        return below(given, policy_.kernel_roots, "incoming.kernel_roots", PathUse::program, path);
      case ValueKind::vdev:
        return vdev(given, path);
      default:
        if (given.empty()) return {};  // connected to none: check_whole() looks whether that is so
        if (std::ranges::find(policy_.bridges, given) != policy_.bridges.end()) return {};
        return denied(path, shown(given) + " is not in this host's incoming.bridges");
    }
  }

  // libxl knows other ways to write the same disk; one is enough, and no two are one.
  Status vdev(const std::string& given, const std::string& path) {
    const std::string_view rest = std::string_view(given).substr(std::min<std::size_t>(given.size(), 3));
    const auto letters = std::min(rest.find_first_not_of("abcdefghijklmnopqrstuvwxyz"), rest.size());
    const bool digits = rest.find_first_not_of("0123456789", letters) == std::string_view::npos;
    const bool plain = given.starts_with("xvd") && letters >= 1 && letters <= 2 && digits && rest.size() - letters <= 2;
    if (!plain) return denied(path, shown(given) + " is no disk of the form xvda");
    if (!vdevs_.insert(given).second) return denied(path, shown(given) + " is there twice");
    return {};
  }

  static Status below(const std::string& given, const std::vector<std::string>& roots, const std::string& setting,
                      PathUse use, const std::string& path) {
    if (!common::is_plain_path(given)) return denied(path, shown(given) + " is not a plain absolute path");
    if (!common::lies_below(given, roots)) return denied(path, shown(given) + " is not below this host's " + setting);
    const Status checked = common::check_use(given, roots, use);
    return checked ? Status() : denied(path, shown(given) + " " + checked.error().message);
  }

  static Status words(const json& value, std::string_view allowed, const std::string& path) {
    const std::string given = text_of(value);
    if (!given.empty() && !given.contains(' ') && allowed.contains(" " + given + " ")) return {};
    return denied(path, shown(given) + " is not in the list of what this host accepts");
  }

  static bool in_range(const json& value, std::uint64_t most) {
    return value.is_number_unsigned() && value.get<std::uint64_t>() <= most;
  }

  Status vcpu_list(const json& value, const std::string& path) const {
    const bool plain =
        value.is_array() && value.size() <= description_.vcpus && description_.vcpus > 0 &&
        std::ranges::all_of(value, [&](const json& each) { return in_range(each, description_.vcpus - 1); });
    return plain ? Status() : denied(path, "is no list of the domain's vCPUs");
  }

  static Status same_number(const json& value, std::uint64_t wanted, bool& seen, const std::string& path) {
    seen = true;
    if (value.is_number_unsigned() && value.get<std::uint64_t>() == wanted) return {};
    return denied(path, "is not the description's, " + std::to_string(wanted));
  }

  const IncomingPolicy& policy_;
  const DomainDescription& description_;
  std::set<std::string> vdevs_;
  bool named_ = false;
  bool identified_ = false;
  bool sized_ = false;
  bool counted_ = false;
};

// What a value's own rule cannot say: which have to be there, and which exclude each other.
Status check_whole(const json& document) {
  const bool pv = document.at("c_info").value("type", "") == "pv";
  if (document.at("b_info").contains(pv ? "type.pvh" : "type.pv"))
    return denied("b_info", "is of another type than c_info.type");
  for (const char* list : {"nics", "disks"})
    for (const json& device : document.value(list, json::array()))
      if (!device.is_object()) return denied(list, "one is no object");
  for (const json& nic : document.value("nics", json::array()))
    if (nic.value("bridge", "").empty() && !(nic.contains("bridge") && nic.value("script", "") == "/bin/true"))
      return denied("nics", "one has no bridge: libxl would choose one");
  for (const json& disk : document.value("disks", json::array()))
    if (!disk.contains("pdev_path") || !disk.contains("vdev")) return denied("disks", "one has no pdev_path or vdev");
  return {};
}

// libxl would choose a backend, a device model among them.
void fix_backends(json& document) {
  if (!document.contains("disks")) return;
  for (json& disk : document["disks"]) {
    disk["backend"] = "phy";
    disk["format"] = "raw";
  }
}

}  // namespace

Result<IncomingPolicy> IncomingPolicy::from_settings(const std::map<std::string, std::string>& settings) {
  IncomingPolicy policy;
  VMSEC_CHECK(common::read_incoming(
      settings,
      {{"disk_roots", &policy.disk_roots}, {"kernel_roots", &policy.kernel_roots}, {"bridges", &policy.bridges}}));
  return policy;
}

Result<std::string> accept_configuration(const IncomingPolicy& policy, const DomainDescription& description,
                                         const Placement& placement) {
  const std::string what = "configuration of " + description.domain.text();
  if (!is_word(description.name, "_-.:+"))
    return denied(what, "the name " + shown(description.name) + " is no plain word");
  if (!placement.suffix.empty() && description.name.ends_with(placement.suffix))
    return denied(what, "the name " + shown(description.name) + " ends as those of domains that have not arrived");
  if (description.configuration.size() > kJsonLimit)
    return fail(Code::limit_exceeded, what + ": more than " + std::to_string(kJsonLimit) + " bytes");
  json document = json::parse(description.configuration, nullptr, false);
  if (document.is_discarded() || !document.is_object())
    return fail(Code::invalid_argument, what + ": it is no JSON object");
  Checker checker(policy, description);
  Status checked = checker.check(document, "", "", 0);
  if (checked) checked = checker.complete();
  if (checked) checked = check_whole(document);
  if (!checked) return fail(checked.error().in(what));
  fix_backends(document);
  if (!placement.pool.empty()) document["c_info"]["pool_name"] = placement.pool;
  document["c_info"]["name"] = description.name + placement.suffix;
  return document.dump();
}

}  // namespace vmsec::xen
