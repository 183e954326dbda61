#include "host/carrier.hpp"

#include <algorithm>

#include "vmsec/units.hpp"

namespace vmsec::host {
namespace {

std::string trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(' ') + 1 - begin));
}

// "switch_timeout = 60 s": a setting of the module's, and what it is where it is not given.
struct Wait {
  std::string setting;
  Microseconds time;
};

Result<Wait> read_wait(const std::string& text, const Settings& settings) {
  const auto equals = text.find('=');
  Wait wait{trimmed(text.substr(0, equals)), {}};
  VMSEC_TRY(wait.time, parse_duration(equals == std::string::npos ? "" : trimmed(text.substr(equals + 1))));
  const auto given = std::ranges::find(settings.settings, wait.setting, &Setting::path);
  if (given == settings.settings.end()) return wait;
  // What is no duration the module refuses itself, in its own words.
  if (const auto time = parse_duration(given->text); time) wait.time = *time;
  return wait;
}

}  // namespace

Status check_worker(const loader::Manifest& manifest, const Settings& settings, const WorkerBudget& budget) {
  const std::string what = "load module " + manifest.name + ": ";
  if (manifest.in_process)
    return fail(Code::invalid_argument, what +
                                            "it opens files and devices, which no process of its own can: set "
                                            "host.in_process = [\"" +
                                            manifest.name + "\"]");
  for (const std::string& each : manifest.waits) {
    const auto wait = read_wait(each, settings);
    if (!wait) return fail(wait.error().in(what + "its manifest: waits \"" + each + "\""));
    if (wait->time.value < budget.deadline.value) continue;
    return fail(Code::invalid_argument, what + "a call of it may wait for " + to_text(wait->time) + " (its " +
                                            wait->setting + "), and is ended after " + to_text(budget.deadline) +
                                            ": set worker." + manifest.name + ".deadline to more, or module." +
                                            manifest.name + "." + wait->setting + " to less");
  }
  return {};
}

}  // namespace vmsec::host
