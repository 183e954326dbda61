// From a policy's TOML to its rules; everything that is not understood is a finding.
#include <algorithm>

#include "policy/findings.hpp"
#include "policy/flatten.hpp"
#include "vmsec/policy.hpp"

namespace vmsec {

namespace {

constexpr std::size_t kLongestName = 128;  // of patterns, tags, modules: libvirt's names are shorter

bool is_one_of(std::string_view key, std::initializer_list<std::string_view> keys) {
  return std::ranges::find(keys, key) != keys.end();
}

}  // namespace

class PolicyReader {
 public:
  explicit PolicyReader(policy::Sink& sink) : sink_(sink) {}

  Policy read(const toml::table& root) {
    version(root);
    for (const auto& [key, node] : root) {
      if (is_one_of(key.str(), {"version", "vm", "grant", "tenant", "host"})) continue;
      sink_.add(place(key), "unknown key \"" + policy::printable(key.str()) +
                                "\": a policy has version, [[vm]], [[grant]] and [[tenant]]");
    }
    each_rule(root, "vm", [&](const toml::table& table) { vm_rule(table); });
    each_rule(root, "grant", [&](const toml::table& table) { grant_rule(table); });
    each_rule(root, "tenant", [&](const toml::table& table) { tenant_rule(table); });
    host(root);
    find_shadowed();
    return std::move(policy_);
  }

 private:
  static policy::Place place(const toml::key& key) { return policy::place_of(key.source()); }
  static policy::Place place(const toml::node& node) { return policy::place_of(node.source()); }

  void version(const toml::table& root) {
    const toml::node* node = root.get("version");
    if (node == nullptr) return sink_.add({1, 1}, "the version is missing: want version = 1");
    const auto* number = node->as_integer();
    if (number == nullptr)
      return sink_.add(place(*node), "version is " + std::string(policy::type_name(*node)) + ": want version = 1");
    if (number->get() != 1)
      sink_.add(place(*node), "version " + std::to_string(number->get()) + " is not known here: want version = 1");
  }

  template <class Use>
  void each_rule(const toml::table& root, std::string_view name, Use&& use) {
    const toml::node* node = root.get(name);
    if (node == nullptr) return;
    const std::string want = "write [[" + std::string(name) + "]]";
    const auto* rules = node->as_array();
    if (rules == nullptr)
      return sink_.add(place(*node), std::string(name) + " is " + std::string(policy::type_name(*node)) + ": " + want);
    if (rules->size() > PolicyLimits::kRules)
      return sink_.add(place(*node), std::to_string(rules->size()) + " [[" + std::string(name) + "]] rules: at most " +
                                         std::to_string(PolicyLimits::kRules) + " are read");
    for (const toml::node& rule : *rules) {
      if (const auto* table = rule.as_table())
        use(*table);
      else
        sink_.add(place(rule), std::string(name) + " holds " + std::string(policy::type_name(rule)) + ": " + want);
    }
  }

  // A text of a sensible length. Empty after a finding.
  std::string text(const toml::node& node, const std::string& what) {
    const auto* value = node.as_string();
    if (value == nullptr) {
      sink_.add(place(node), what + " is " + std::string(policy::type_name(node)) + ": want a text");
      return {};
    }
    if (value->get().empty() || value->get().size() > kLongestName) {
      sink_.add(place(node), what + " has " + std::to_string(value->get().size()) + " bytes: want 1 to 128");
      return {};
    }
    if (value->get().find('\0') != std::string::npos) {
      sink_.add(place(node), what + " has a NUL");
      return {};
    }
    return value->get();
  }

  // By a name pattern or a tag, exactly one of them. An empty pattern after a finding.
  Selector selector(const toml::table& table, std::string_view by_name, const std::string& rule) {
    const toml::node* name = table.get(by_name);
    const toml::node* tag = table.get("tag");
    const std::string want = "want " + std::string(by_name) + " = \"<pattern>\" or tag = \"<tag>\"";
    if (name == nullptr && tag == nullptr) {
      sink_.add(place(table), rule + " does not say which VMs it is about: " + want);
      return {};
    }
    if (name != nullptr && tag != nullptr) {
      sink_.add(place(*tag), rule + " has both " + std::string(by_name) + " and tag: " + want);
      return {};
    }
    if (name != nullptr) return {Selector::By::name, text(*name, rule + ": " + std::string(by_name))};
    return {Selector::By::tag, text(*tag, rule + ": tag")};
  }

  Section section(const toml::key& key, const toml::table& table) {
    // Only [a.b] headers give a table a place; a dotted key's is the key's own.
    const policy::Place at = table.source().begin.line == 0 ? place(key) : place(table);
    if (key.str().find('\0') != std::string_view::npos) sink_.add(at, "a key has a NUL");
    return {std::string(key.str()), at.line, at.column, policy::flatten(table, policy::TableLists::refused, sink_)};
  }

  void vm_rule(const toml::table& table) {
    VmRule rule;
    rule.line = place(table).line;
    rule.column = place(table).column;
    rule.selector = selector(table, "match", "[[vm]]");
    for (const auto& [key, node] : table) {
      if (is_one_of(key.str(), {"match", "tag"})) continue;
      if (const auto* nested = node.as_table()) {
        rule.sections.push_back(section(key, *nested));
        continue;
      }
      sink_.add(place(key), "unknown key \"" + policy::printable(key.str()) +
                                "\" in [[vm]]: it has match or tag, and tables of modules such as [vm.isolation]");
    }
    policy_.vm_rules_.push_back(std::move(rule));
  }

  void grant_rule(const toml::table& table) {
    GrantRule rule;
    rule.line = place(table).line;
    rule.column = place(table).column;
    rule.selector = selector(table, "vm", "[[grant]]");
    const toml::node* module = table.get("module");
    const toml::node* interfaces = table.get("interfaces");
    if (module == nullptr)
      sink_.add(place(table), "[[grant]] does not say to whom: want module = \"<name>\"");
    else
      rule.module = text(*module, "[[grant]]: module");
    if (interfaces == nullptr)
      sink_.add(place(table), "[[grant]] does not say what: want interfaces = [\"vmsec.IoControl\", ...]");
    else
      rule.interfaces = interface_list(*interfaces);
    for (const auto& [key, node] : table) {
      if (is_one_of(key.str(), {"module", "vm", "tag", "interfaces"})) continue;
      sink_.add(place(key), "unknown key \"" + policy::printable(key.str()) +
                                "\" in [[grant]]: it has module, vm or tag, and interfaces");
    }
    policy_.grant_rules_.push_back(std::move(rule));
  }

  std::vector<std::string> interface_list(const toml::node& node) {
    std::vector<std::string> names;
    const auto* list = node.as_array();
    if (list == nullptr) {
      sink_.add(place(node), "[[grant]]: interfaces is " + std::string(policy::type_name(node)) +
                                 ": want a list, such as [\"vmsec.IoControl\"]");
      return names;
    }
    for (const toml::node& element : *list) {
      const std::string name = text(element, "[[grant]]: an interface");
      if (name.empty()) continue;
      if (std::ranges::find(kGrantableInterfaces, name) == kGrantableInterfaces.end())
        sink_.add(place(element), unknown_interface(name));
      else if (std::ranges::find(names, name) != names.end())
        sink_.add(place(element), "[[grant]]: " + name + " is listed twice");
      else
        names.push_back(name);
    }
    return names;
  }

  void tenant_rule(const toml::table& table) {
    TenantRule rule;
    rule.line = place(table).line;
    rule.column = place(table).column;
    rule.selector = selector(table, "vm", "[[tenant]]");
    const toml::node* name = table.get("name");
    const toml::node* offers = table.get("offers");
    if (name == nullptr)
      sink_.add(place(table), "[[tenant]] does not say who it is: want name = \"<name>\"");
    else
      rule.name = tenant_name(*name);
    if (offers == nullptr)
      sink_.add(place(table), "[[tenant]] does not say what it may choose: want offers = [\"<module>\", ...]");
    else
      rule.offers = module_list(*offers);
    for (const auto& [key, node] : table) {
      if (is_one_of(key.str(), {"name", "vm", "tag", "offers"})) continue;
      sink_.add(place(key), "unknown key \"" + policy::printable(key.str()) +
                                "\" in [[tenant]]: it has name, vm or tag, and offers");
    }
    policy_.tenant_rules_.push_back(std::move(rule));
  }

  std::string tenant_name(const toml::node& node) {
    std::string name = text(node, "[[tenant]]: name");
    if (!name.empty() && policy_.tenant(name) != nullptr)
      sink_.add(place(node), "[[tenant]]: a tenant \"" + policy::printable(name) + "\" is there already, at line " +
                                 std::to_string(policy_.tenant(name)->line) + ": one rule for each, or a tag");
    return name;
  }

  std::vector<std::string> module_list(const toml::node& node) {
    std::vector<std::string> names;
    const auto* list = node.as_array();
    if (list == nullptr) {
      sink_.add(place(node), "[[tenant]]: offers is " + std::string(policy::type_name(node)) +
                                 ": want a list, such as [\"memory_scanner\"]");
      return names;
    }
    for (const toml::node& element : *list) {
      std::string name = text(element, "[[tenant]]: an offered module");
      if (name.empty()) continue;
      if (std::ranges::find(names, name) != names.end())
        sink_.add(place(element), "[[tenant]]: \"" + policy::printable(name) + "\" is offered twice");
      else
        names.push_back(std::move(name));
    }
    return names;
  }

  static std::string unknown_interface(const std::string& name) {
    if (std::ranges::find(kOperatorsInterfaces, name) != kOperatorsInterfaces.end())
      return "[[grant]]: " + name + " cannot be granted: " + std::string(kOperatorsReason);
    std::string message = "[[grant]]: no interface \"" + policy::printable(name) + "\" can be granted: want one of ";
    for (const auto known : kGrantableInterfaces)
      message += std::string(known == kGrantableInterfaces.front() ? "" : ", ") + std::string(known);
    return message;
  }

  // A setting that nobody reads must not look as if it held.
  void host(const toml::table& root) {
    const toml::node* node = root.get("host");
    if (node == nullptr) return;
    const auto refuse = [&](policy::Place at, const std::string& table) {
      sink_.add(at, table +
                        ": a policy has no settings for the whole host; a module's own are in the host's "
                        "configuration (vmsecd.toml), [module.<name>]");
    };
    const auto* table = node->as_table();
    if (table == nullptr || table->empty()) return refuse(place(*node), "[host]");
    for (const auto& [key, nested] : *table)
      refuse(nested.is_table() && nested.source().begin.line != 0 ? place(nested) : place(key),
             "[host." + policy::printable(key.str()) + "]");
  }

  // A rule behind one that takes all of its domains is a mistake: its author
  // believes in limits, or in a denial, that nothing will ever get.
  void find_shadowed() {
    const auto& vms = policy_.vm_rules_;
    for (std::size_t i = 1; i < vms.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (shadows(vms[j].selector, vms[i].selector, vms[j].line, {vms[i].line, vms[i].column}, "[[vm]]")) break;
    const auto& grants = policy_.grant_rules_;
    for (std::size_t i = 1; i < grants.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (grants[j].module == grants[i].module && !grants[i].module.empty() &&
            shadows(grants[j].selector, grants[i].selector, grants[j].line, {grants[i].line, grants[i].column},
                    "[[grant]] of \"" + policy::printable(grants[i].module) + "\""))
          break;
    const auto& tenants = policy_.tenant_rules_;
    for (std::size_t i = 1; i < tenants.size(); ++i)
      for (std::size_t j = 0; j < i; ++j)
        if (shadows(tenants[j].selector, tenants[i].selector, tenants[j].line, {tenants[i].line, tenants[i].column},
                    "[[tenant]]"))
          break;
  }

  bool shadows(const Selector& first, const Selector& second, std::uint32_t line, policy::Place at,
               const std::string& rule) {
    if (first.pattern.empty() || second.pattern.empty() || !first.covers(second)) return false;
    sink_.add(at, rule + " for " + policy::printable(second.text()) + " can never match: the rule at line " +
                      std::to_string(line) + " for " + policy::printable(first.text()) +
                      " takes all of its VMs before");
    return true;
  }

  policy::Sink& sink_;
  Policy policy_;
};

std::expected<Policy, Findings> Policy::parse(std::string_view text) {
  policy::Sink sink;
  Policy policy;
  policy::with_toml(text, sink, [&](const toml::table& root) { policy = PolicyReader(sink).read(root); });
  if (!sink.clean()) return std::unexpected(sink.take());
  return policy;
}

}  // namespace vmsec
