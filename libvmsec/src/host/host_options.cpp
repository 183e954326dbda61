// vmsecd's configuration file: docs/configuration.md lists its keys.
#include <algorithm>
#include <filesystem>
#include <functional>

#include "vmsec/host.hpp"
#include "vmsec/policy.hpp"
#include "vmsec/section.hpp"
#include "vmsec/units.hpp"

namespace vmsec {
namespace {

class OptionsReader {
 public:
  explicit OptionsReader(std::string file) : file_(std::move(file)) {}

  Result<HostOptions> read(const Settings& settings) {
    for (const Setting& setting : settings.settings) VMSEC_CHECK(take(setting));
    for (auto& [index, peer] : peers_) VMSEC_CHECK(add_peer(peer));
    VMSEC_CHECK(check_in_process());
    VMSEC_CHECK(check_budgets());
    return options_;
  }

 private:
  struct Peer {
    std::string name;
    std::string address;
    std::uint32_t line = 0;  // of its first key
    std::uint32_t column = 0;
  };

  [[nodiscard]] std::unexpected<Error> at(const Setting& setting, const std::string& cause) const {
    return fail(Code::invalid_argument, file_ + ":" + std::to_string(setting.line) + ":" +
                                            std::to_string(setting.column) + ": " + setting.path + ": " + cause);
  }

  Status take_text(const Setting& setting, std::string& target) const {
    if (setting.type != SettingType::text) return at(setting, "must be a text");
    target = setting.text;
    return {};
  }

  // Paths are relative to the configuration file's folder.
  Status take_path(const Setting& setting, std::string& target) const {
    VMSEC_CHECK(take_text(setting, target));
    if (!target.empty() && target.front() != '/')
      target = (std::filesystem::absolute(file_).parent_path() / target).lexically_normal().string();
    return {};
  }

  Status take_paths(const Setting& setting, std::vector<std::string>& target) const {
    if (setting.type != SettingType::list) return at(setting, "must be a list of texts");
    for (const std::string& element : setting.list) {
      std::string path;
      VMSEC_CHECK(take_path(
          Setting{setting.path, SettingType::text, element, 0, false, 0, {}, setting.line, setting.column}, path));
      target.push_back(std::move(path));
    }
    return {};
  }

  Status take(const Setting& setting) {
    const std::map<std::string, std::string*> texts = {{"backend.plugin", &options_.plugin},
                                                       {"backend.uri", &options_.backend.uri},
                                                       {"host.name", &options_.name},
                                                       {"host.listen", &options_.listen},
                                                       {"metrics.listen", &options_.metrics_listen},
                                                       {"tpm.tcti", &options_.backend.tpm_tcti}};
    const std::map<std::string, std::string*> paths = {{"host.state", &options_.state_dir},
                                                       {"host.run", &options_.run_dir},
                                                       {"host.control", &options_.control_socket},
                                                       {"host.policy", &options_.policy_file},
                                                       {"identity.ca", &options_.identity.ca},
                                                       {"identity.certificate", &options_.identity.certificate},
                                                       {"identity.key", &options_.identity.key},
                                                       {"identity.revocations", &options_.identity.revocations},
                                                       {"tpm.event_log", &options_.backend.event_log},
                                                       {"tpm.ima_list", &options_.backend.ima_list},
                                                       {"tpm.module_log", &options_.backend.module_log},
                                                       {"host.trust", &options_.trust_file}};
    const std::map<std::string, std::vector<std::string>*> lists = {
        {"identity.placement_keys", &options_.identity.placement_keys},
        {"identity.former_certificates", &options_.identity.former_certificates},
        {"host.plugin_path", &options_.plugin_path},
        {"host.module_path", &options_.module_path}};
    if (const auto text = texts.find(setting.path); text != texts.end()) return take_text(setting, *text->second);
    if (const auto path = paths.find(setting.path); path != paths.end()) return take_path(setting, *path->second);
    if (const auto list = lists.find(setting.path); list != lists.end()) return take_paths(setting, *list->second);
    return take_table(setting);
  }

  Status take_table(const Setting& setting) {
    constexpr std::string_view kBackend = "backend.settings.";
    constexpr std::string_view kModule = "module.";
    constexpr std::string_view kPeer = "peer[";
    constexpr std::string_view kWorker = "worker.";
    if (setting.path.starts_with(kBackend))
      return take_text(setting, options_.backend.settings[setting.path.substr(kBackend.size())]);
    if (setting.path == "tpm.module_pcr") return take_module_pcr(setting);
    if (setting.path == "host.enforce") return take_flag(setting, options_.enforce);
    if (setting.path == "host.modules") return take_modules(setting);
    if (setting.path == "host.in_process") return take_in_process(setting);
    if (setting.path == "audit.keep_files") return take_number(setting, 0, 100'000, options_.audit_keep_files);
    if (setting.path == "audit.file_size") return take_audit_size(setting);
    if (setting.path.starts_with(kWorker)) return take_budget(setting, setting.path.substr(kWorker.size()));
    if (setting.path.starts_with(kModule)) return take_module_setting(setting, setting.path.substr(kModule.size()));
    if (setting.path.starts_with(kPeer)) return take_peer(setting);
    return at(setting, "unknown key");
  }

  // PCRs of an operating system, but for IMA's: the firmware's own are none for modules.
  Status take_module_pcr(const Setting& setting) {
    std::uint32_t pcr = 0;
    VMSEC_CHECK(take_number(setting, 8, 15, pcr));
    if (pcr == 10) return at(setting, "PCR 10 is Linux IMA's: want 8 to 15, not 10");
    options_.module_pcr = pcr;
    return {};
  }

  Status take_modules(const Setting& setting) {
    if (setting.type != SettingType::list) return at(setting, "must be a list of module names");
    for (const std::string& name : setting.list) options_.modules[name];
    return {};
  }

  Status take_in_process(const Setting& setting) {
    if (setting.type != SettingType::list) return at(setting, "must be a list of module names");
    options_.in_process = setting.list;
    in_process_ = setting;
    return {};
  }

  // After all modules are known.
  Status check_in_process() const {
    for (const std::string& name : options_.in_process)
      if (!options_.modules.contains(name)) return at(in_process_, "no module \"" + name + "\" is loaded");
    return {};
  }

  Status check_budgets() const {
    for (const auto& [name, setting] : budgets_) {
      if (!options_.modules.contains(name)) return at(setting, "no module \"" + name + "\" is loaded");
      if (std::ranges::find(options_.in_process, name) != options_.in_process.end())
        return at(setting, "module \"" + name + "\" has no process of its own: host.in_process names it");
    }
    for (const auto& [name, setting] : kept_)
      if (!options_.modules.contains(name)) return at(setting, "no module \"" + name + "\" is loaded");
    return {};
  }

  Status take_flag(const Setting& setting, bool& target) const {
    if (setting.type != SettingType::boolean) return at(setting, "must be true or false");
    target = setting.boolean;
    return {};
  }

  Status take_number(const Setting& setting, std::uint32_t least, std::uint32_t most, std::uint32_t& target) const {
    if (setting.type != SettingType::integer || setting.integer < least || setting.integer > most)
      return at(setting, "must be a number from " + std::to_string(least) + " to " + std::to_string(most));
    target = static_cast<std::uint32_t>(setting.integer);
    return {};
  }

  Status take_audit_size(const Setting& setting) {
    if (setting.type == SettingType::integer && setting.integer == 0) {
      options_.audit_file_size = {};
      return {};
    }
    if (setting.type != SettingType::text) return at(setting, "must be a text, as \"64 MiB\", or 0: one file for ever");
    return take_value(setting, parse_size(setting.text), Bytes{64 << 10}, options_.audit_file_size);
  }

  Status take_cpus(const Setting& setting, std::vector<std::uint32_t>& cpus) const {
    constexpr std::uint32_t kLargest = 4095;  // beyond any host's
    if (setting.type != SettingType::list || setting.list.empty())
      return at(setting, "must be a list of this host's CPUs, as [2, 3]");
    cpus.clear();
    for (const std::string& element : setting.list) {
      const auto cpu = number_of(element, kLargest);
      if (!cpu) return at(setting, "\"" + element + "\" is no CPU: must be a list of this host's CPUs, as [2, 3]");
      if (std::ranges::find(cpus, *cpu) != cpus.end()) return at(setting, "CPU " + element + " is listed twice");
      cpus.push_back(*cpu);
    }
    return {};
  }

  // [worker.NAME]: what the module's process may take.
  Status take_budget(const Setting& setting, const std::string& rest) {
    const auto dot = rest.find('.');
    if (dot == std::string::npos) return at(setting, "unknown key");
    WorkerBudget& budget = options_.workers[rest.substr(0, dot)];
    const std::string key = rest.substr(dot + 1);
    // What a module keeps is the host's to bound, wherever the module runs.
    const bool anywhere = key == "records" || key == "record_count";
    (anywhere ? kept_ : budgets_).emplace(rest.substr(0, dot), setting);
    if (key == "descriptors") return take_number(setting, 32, 1 << 20, budget.descriptors);
    if (key == "threads") return take_number(setting, 4, 1 << 16, budget.threads);
    if (key == "record_count") return take_number(setting, 16, 1 << 20, budget.record_count);
    if (key == "cpus") return take_cpus(setting, budget.cpus);
    if (key == "calls") return take_number(setting, 100, 10'000'000, budget.calls);
    if (key != "memory" && key != "cpu" && key != "deadline" && key != "records") return at(setting, "unknown key");
    if (setting.type != SettingType::text) return at(setting, "must be a text");
    if (key == "memory") return take_value(setting, parse_size(setting.text), Bytes{16 << 20}, budget.memory);
    if (key == "records") return take_value(setting, parse_size(setting.text), Bytes{64 << 10}, budget.records);
    if (key == "deadline")
      return take_value(setting, parse_duration(setting.text), Microseconds{100'000}, budget.deadline);
    PerMille cpu;
    VMSEC_CHECK(take_value(setting, parse_percent(setting.text), PerMille{10}, cpu));
    budget.cpu_percent = static_cast<std::uint32_t>(cpu.value / 10);
    return {};
  }

  template <class T>
  Status take_value(const Setting& setting, const Result<T>& value, T least, T& target) const {
    if (!value) return at(setting, value.error().message);
    if (value->value < least.value) return at(setting, "must be " + to_text(least) + " at the least");
    target = *value;
    return {};
  }

  Status take_module_setting(const Setting& setting, const std::string& rest) {
    const auto dot = rest.find('.');
    if (dot == std::string::npos) return at(setting, "unknown key");
    Setting inner = setting;
    inner.path = rest.substr(dot + 1);
    options_.modules[rest.substr(0, dot)].settings.push_back(std::move(inner));
    return {};
  }

  Status take_peer(const Setting& setting) {
    const auto dot = setting.path.find("].");
    if (dot == std::string::npos) return at(setting, "unknown key");
    Peer& peer = peers_[setting.path.substr(0, dot)];
    if (peer.line == 0 || std::pair(setting.line, setting.column) < std::pair(peer.line, peer.column)) {
      peer.line = setting.line;
      peer.column = setting.column;
    }
    const std::string key = setting.path.substr(dot + 2);
    if (key == "name") return take_text(setting, peer.name);
    if (key == "address") return take_text(setting, peer.address);
    return at(setting, "unknown key");
  }

  Status add_peer(const Peer& peer) {
    const std::string where =
        file_ + ":" + std::to_string(peer.line) + ":" + std::to_string(peer.column) + ": [[peer]]: ";
    if (peer.name.empty() || peer.address.empty())
      return fail(Code::invalid_argument, where + "name and address must be given");
    if (!options_.peers.emplace(peer.name, peer.address).second)
      return fail(Code::invalid_argument, where + "a second peer \"" + peer.name + "\"");
    return {};
  }

  const std::string file_;
  HostOptions options_;
  std::map<std::string, Peer> peers_;
  Setting in_process_;
  std::map<std::string, Setting> budgets_;  // the first key of each module's, of its process
  std::map<std::string, Setting> kept_;     // and of what it keeps
};

}  // namespace

Result<HostOptions> read_host_options(const std::string& file) {
  VMSEC_TRY(const Settings settings, read_settings(file));
  return OptionsReader(file).read(settings);
}

}  // namespace vmsec
