// What all commands share: the global options, the way to a host, and how results are printed.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "exit.hpp"
#include "json.hpp"
#include "vmsec/capability/domain_control.hpp"
#include "vmsec/control.hpp"

namespace vmsec::cli {

struct Options {
  std::string agent;
  bool json = false;
  std::string plugin;  // not empty: a Host in this process instead of an agent
  std::string uri;
  std::vector<std::string> settings;  // KEY=VALUE, as [backend.settings]
  std::vector<std::string> plugin_path;
  std::vector<std::string> module_path;
  std::string trust;  // empty: /etc/vmsec/trust.toml where it is
  std::string state;  // empty: /var/lib/vmsec-cli
  [[nodiscard]] std::string state_folder() const { return state.empty() ? "/var/lib/vmsec-cli" : state; }
};

class Context {
 public:
  Options options;

  // Parsing only chooses the action; main() runs it.
  std::function<Ending()> action;
  void on(CLI::App* command, std::function<Ending()> act);

  // Modules for a Host in this process, before the first open(). An agent has its own.
  void load_modules(std::vector<std::string> names) { modules_ = std::move(names); }

  // Whether a host was reached: an error may then be that host's.
  [[nodiscard]] bool asked() const { return control_ != nullptr; }

  // Connects at the first call.
  Result<std::shared_ptr<Control>> control();

  // The interfaces that commands use: faces.cpp.
  template <class I>
  Result<std::unique_ptr<I>> open();

  // The message as JSON, or by `text` for people.
  template <class T, class Text>
  void print(const T& message, Text&& text) const {
    if (options.json)
      print_json(to_json(message));
    else
      text(message);
  }
  static void print_json(const Json& value);
  static void print_json_line(const Json& value);

 private:
  std::vector<std::string> modules_;
  std::shared_ptr<Control> control_;
};

// A domain by its UUID or its name. `not_found`, and `invalid_argument` for a name that several have.
Result<DomainInfo> find_domain(DomainControl& domains, const std::string& name_or_uuid);

// What to do about an error; never empty.
std::string advice_for(const Error& error, const Context& context);

}  // namespace vmsec::cli
