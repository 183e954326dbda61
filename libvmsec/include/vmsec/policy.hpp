// The policy: one TOML file that says what each VM gets, and which module may
// touch it. And the reading of any other configuration file in TOML.
//
//   version = 1
//
//   [[vm]]                     # the first [[vm]] that matches a domain decides
//   match = "web-*"            # * any run of characters, ? any one; or: tag = "batch"
//   [vm.isolation]             # a module's section, in that module's own words
//   cpu_quota = "150%"
//   [vm.throttle.disk.vda]
//   read = "20 MB/s"
//
//   [[grant]]                  # the first [[grant]] of the module that matches decides; none: denied
//   module = "throttle"
//   vm = "web-*"               # or: tag = "batch"
//   interfaces = ["vmsec.IoControl"]
//
//   [[tenant]]                 # the first [[tenant]] that matches a domain has it
//   name = "acme"
//   vm = "acme-*"              # or: tag = "acme"
//   offers = ["memory_scanner"]  # modules that act only on VMs for which their tenant chose them
//
// Settings of a module for the whole host are not the policy's: they are
// [module.<name>] in the host's configuration.
//
// Reading is strict: an unknown key, a wrong type, a rule that can never match
// and anything else that is not understood is a finding, and a policy with
// findings is no policy. No exception escapes.
#pragma once

#include <array>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "vmsec/export.hpp"
#include "vmsec/result.hpp"
#include "vmsec/settings.hpp"

namespace vmsec {

// What a [[grant]] may name. The core's own services (vmsec.Journal, ...) need no grant.
inline constexpr std::array<std::string_view, 7> kGrantableInterfaces = {
    "vmsec.DomainControl", "vmsec.ResourceControl", "vmsec.IoControl", "vmsec.Migration",
    "vmsec.MemoryAccess",  "vmsec.BootEvidence",    "vmsec.Events"};

// What no [[grant]] gives and no module gets: these capabilities are for who operates the host.
inline constexpr std::array<std::string_view, 1> kOperatorsInterfaces = {"vmsec.Interchange"};
inline constexpr std::string_view kOperatorsReason =
    "it is for who operates the host and for no module: a definition decides which files of the host a guest opens";

struct PolicyLimits {
  static constexpr std::size_t kFileSize = 1 << 20;
  static constexpr std::size_t kRules = 1000;  // of [[vm]], of [[grant]], and of [[tenant]]
  static constexpr std::size_t kDepth = 16;    // tables within tables, arrays within arrays
  static constexpr std::size_t kFindings = 100;
};

// Which domains a rule is about: a name pattern, or a tag.
struct Selector {
  enum class By { name, tag };
  By by = By::name;
  std::string pattern;

  [[nodiscard]] VMSEC_EXPORT bool matches(std::string_view name, std::span<const std::string> tags) const;
  // Whether every domain that `other` matches is matched by this one too.
  [[nodiscard]] VMSEC_EXPORT bool covers(const Selector& other) const;
  // `VM "web-*"`, `tag "batch"`
  [[nodiscard]] VMSEC_EXPORT std::string text() const;
};

// A module's table. The settings' paths are below it ("disk.vda.read").
struct Section {
  std::string name;  // "throttle"
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  Settings settings;
};

struct VmRule {
  Selector selector;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::vector<Section> sections;
};

struct GrantRule {
  std::string module;
  Selector selector;
  std::vector<std::string> interfaces;  // none: this module may do nothing to these domains
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// Whose VMs they are, and what may be chosen for them.
struct TenantRule {
  std::string name;
  Selector selector;
  std::vector<std::string> offers;  // modules
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

// What check_modules() needs to know of a loaded module.
struct ModuleOutline {
  std::string name;
  std::string section;                  // empty: it has none
  std::vector<std::string> needs = {};  // those of its interfaces that can be granted
};

// What check_grants() found: sections that can do nothing at all, and those that
// can for some of their domains.
struct GrantGaps {
  Findings findings;
  Findings warnings;
};

// A value: copied freely, read by any number of threads.
class VMSEC_EXPORT Policy {
 public:
  // Every finding of the text, in the order of the file. A syntax error is the
  // only finding that it has.
  static std::expected<Policy, Findings> parse(std::string_view text);
  // A file that cannot be read is a finding at line 0.
  static std::expected<Policy, Findings> read(const std::string& path);

  // Sections that no loaded module reads, and grants to and offers of modules that
  // are not loaded.
  [[nodiscard]] Findings check_modules(std::span<const ModuleOutline> loaded) const;
  // Sections whose module is not granted what it needs on their domains.
  [[nodiscard]] GrantGaps check_grants(std::span<const ModuleOutline> loaded) const;
  // What is allowed, and hardly meant: grants of what a module does not need, of a
  // guest's memory or of moving it on every VM, offers that no grant makes good,
  // tenants that may share VMs.
  [[nodiscard]] Findings lint(std::span<const ModuleOutline> loaded) const;

  // The first [[vm]] that matches; null where none does. Borrowed from the policy.
  [[nodiscard]] const VmRule* rule_for(std::string_view domain_name, std::span<const std::string> tags) const;
  // What the policy wants of a domain in one section, which may be empty; null where
  // it says nothing. Borrowed from the policy.
  [[nodiscard]] const Section* section(std::string_view domain_name, std::span<const std::string> tags,
                                       std::string_view section) const;

  // May this module use this interface on this domain? Denied unless granted.
  [[nodiscard]] bool grants(std::string_view module, std::string_view domain_name, std::span<const std::string> tags,
                            std::string_view interface) const;
  // Is it granted on any domain? For what is about no single domain: to open the
  // interface, to ask for the host's sizes.
  [[nodiscard]] bool grants_any(std::string_view module, std::string_view interface) const;

  // Who has the domain: the first [[tenant]] that matches; null where none does.
  // Borrowed from the policy, as is what tenant() answers.
  [[nodiscard]] const TenantRule* tenant_of(std::string_view domain_name, std::span<const std::string> tags) const;
  [[nodiscard]] const TenantRule* tenant(std::string_view name) const;
  // Is the module offered to any tenant? Then it acts on chosen domains alone.
  [[nodiscard]] bool is_offered(std::string_view module) const;

  [[nodiscard]] const std::vector<VmRule>& vm_rules() const { return vm_rules_; }
  [[nodiscard]] const std::vector<GrantRule>& grant_rules() const { return grant_rules_; }
  [[nodiscard]] const std::vector<TenantRule>& tenant_rules() const { return tenant_rules_; }

 private:
  friend class PolicyReader;
  std::vector<VmRule> vm_rules_;
  std::vector<GrantRule> grant_rules_;
  std::vector<TenantRule> tenant_rules_;
};

// Any other configuration in TOML, flattened: [backend] uri = "x" becomes
// "backend.uri", and the second [[peer]]'s name becomes "peer[1].name". The
// error's message begins with "file:line:column: ".
VMSEC_EXPORT Result<Settings> parse_settings(std::string_view text, std::string_view file_name);
VMSEC_EXPORT Result<Settings> read_settings(const std::string& path);

// "file:line:column: message", a line each.
VMSEC_EXPORT std::string describe(const Findings& findings, std::string_view file_name);

}  // namespace vmsec
