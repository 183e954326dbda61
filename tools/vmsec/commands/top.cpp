// vmsec top: what each VM uses, beside its limits, again and again.
#include <algorithm>
#include <array>
#include <map>
#include <thread>

#include "commands/commands.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "usage.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/units.hpp"

namespace vmsec::cli {
namespace {

using namespace std::chrono_literals;

constexpr double kNear = 0.9;  // of a limit

struct Wish {
  double interval = 2;      // seconds
  std::uint64_t count = 0;  // 0: until Ctrl-C
  std::string sort = "cpu";
};

Microseconds wall_clock() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(since).count())};
}

// Ends early at Ctrl-C.
void wait_until(SteadyTime then) {
  while (!interrupted() && std::chrono::steady_clock::now() < then)
    std::this_thread::sleep_for(std::min<SteadyTime::duration>(100ms, then - std::chrono::steady_clock::now()));
}

// ---- order -------------------------------------------------------------------

using Key = double (*)(const Usage&);
const std::map<std::string, Key>& keys() {
  static const std::map<std::string, Key> all{
      {"cpu", [](const Usage& u) { return u.cpu.rate; }},
      {"steal", [](const Usage& u) { return u.steal.value_or(0); }},
      {"memory", [](const Usage& u) { return static_cast<double>(u.domain.memory.value); }},
      {"read", [](const Usage& u) { return total_in(u.disks); }},
      {"write", [](const Usage& u) { return total_out(u.disks); }},
      {"receive", [](const Usage& u) { return total_in(u.nics); }},
      {"transmit", [](const Usage& u) { return total_out(u.nics); }}};
  return all;
}

// The most first, and by name where they are alike.
void sort_by(std::vector<Usage>& all, const std::string& sort) {
  std::ranges::stable_sort(all, {}, [](const Usage& usage) { return usage.domain.name; });
  if (const auto key = keys().find(sort); key != keys().end())
    std::ranges::stable_sort(all, std::ranges::greater{}, key->second);
}

// ---- for people --------------------------------------------------------------

std::string percent(double fraction) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.0f %%", fraction * 100);
  return text.data();
}

Colour colour_of(std::optional<double> pressure) {
  return pressure && *pressure >= kNear ? Colour::yellow : Colour::none;
}

std::string flow_text(const Usage& usage, double rate, std::optional<double> pressure) {
  if (!usage.measured) return "-";
  const std::string text = human(BytesPerSecond{static_cast<std::uint64_t>(rate)});
  if (!pressure) return text;
  return coloured(colour_of(pressure), text + " (" + percent(*pressure) + ")");
}

std::string cpu_text(const Usage& usage) {
  if (!usage.measured) return "-";
  const std::string text = percent(usage.cpu.rate / 1000);
  if (usage.cpu.limit == 0) return text;
  return coloured(colour_of(usage.cpu.rate / usage.cpu.limit), text + " of " + percent(usage.cpu.limit / 1000));
}

void print_usage(const std::vector<Usage>& all) {
  Table table({"VM", "STATE", "VCPUS", "CPU", "STEAL", "MEMORY", "READ", "WRITE", "RECEIVE", "TRANSMIT"});
  for (const auto& usage : all) {
    const auto& domain = usage.domain;
    table.add({domain.name, std::string(name_of(domain.state)), std::to_string(domain.vcpus), cpu_text(usage),
               usage.steal ? percent(*usage.steal / 1000) : "-", domain.memory.value == 0 ? "-" : human(domain.memory),
               flow_text(usage, total_in(usage.disks), pressure_in(usage.disks)),
               flow_text(usage, total_out(usage.disks), pressure_out(usage.disks)),
               flow_text(usage, total_in(usage.nics), pressure_in(usage.nics)),
               flow_text(usage, total_out(usage.nics), pressure_out(usage.nics))});
  }
  table.print();
}

// In place of the picture before, on a terminal; each begins with its time.
void begin_picture() {
  if (is_terminal()) std::fputs("\033[H\033[J", stdout);
  std::printf("%s  ", audit_time(wall_clock()).c_str());
}

void show(const std::vector<Usage>& all, const Wish& wish) {
  begin_picture();
  const auto running = std::ranges::count(all, DomainState::running, [](const Usage& u) { return u.domain.state; });
  std::printf("%zu VMs, %td running; every %g s; in brackets: of the limit\n\n", all.size(), running, wish.interval);
  print_usage(all);
  for (const auto& usage : all)
    if (usage.trouble) std::printf("%s: %s\n", safe(usage.domain.name).c_str(), safe(usage.trouble->message).c_str());
  if (!is_terminal()) std::puts("");
  std::fflush(stdout);
}

// ---- for programs ------------------------------------------------------------

Json rate_json(const Usage& usage, double rate) {
  return usage.measured ? Json(static_cast<std::uint64_t>(rate)) : Json();
}
Json limit_json(double limit) { return limit == 0 ? Json() : Json(static_cast<std::uint64_t>(limit)); }

Json devices_json(const Usage& usage, const std::vector<DeviceUsage>& devices, const char* in, const char* out) {
  Json list = Json::array();
  for (const auto& device : devices)
    list.push_back({{"target", device.target},
                    {in, rate_json(usage, device.in.rate)},
                    {out, rate_json(usage, device.out.rate)},
                    {std::string(in) + "_ops", rate_json(usage, device.in_ops)},
                    {std::string(out) + "_ops", rate_json(usage, device.out_ops)},
                    {std::string(in) + "_limit", limit_json(device.in.limit)},
                    {std::string(out) + "_limit", limit_json(device.out.limit)}});
  return list;
}

void print_json(const std::vector<Usage>& all) {
  Json list = Json::array();
  for (const auto& usage : all)
    list.push_back({{"domain", usage.domain.domain.text()},
                    {"name", usage.domain.name},
                    {"state", name_of(usage.domain.state)},
                    {"vcpus", usage.domain.vcpus},
                    {"memory", usage.domain.memory.value},
                    {"cpu_millis", rate_json(usage, usage.cpu.rate)},
                    {"cpu_limit_millis", limit_json(usage.cpu.limit)},
                    {"steal_millis", usage.steal ? rate_json(usage, *usage.steal) : Json()},
                    {"disks", devices_json(usage, usage.disks, "read", "write")},
                    {"nics", devices_json(usage, usage.nics, "receive", "transmit")},
                    {"error", usage.trouble ? Json(usage.trouble->message) : Json()}});
  Context::print_json_line({{"time", audit_time(wall_clock())}, {"vms", std::move(list)}});
  std::fflush(stdout);
}

// Who looks on sees it come back, or ends it.
void show_error(const Context& context, const Error& error) {
  if (context.options.json) {
    Context::print_json_line({{"time", audit_time(wall_clock())}, {"error", error.message}});
  } else {
    begin_picture();
    std::printf("%s\n", safe(error.message).c_str());
  }
  std::fflush(stdout);
}

Ending top(Context& context, const Wish& wish) {
  VMSEC_TRY(const auto domains, context.open<DomainControl>());
  VMSEC_TRY(const auto resources, context.open<ResourceControl>());
  VMSEC_TRY(const auto io, context.open<IoControl>());
  const tools::Interfaces host{*domains, *resources, *io};
  watch_interrupt();
  auto due = std::chrono::steady_clock::now();
  VMSEC_TRY(auto before, tools::read_all(host));
  for (std::uint64_t shown = 0; wish.count == 0 || shown < wish.count; ++shown) {
    due += std::chrono::duration_cast<SteadyTime::duration>(std::chrono::duration<double>(wish.interval));
    wait_until(due);
    if (interrupted()) break;
    auto now = tools::read_all(host);
    if (!now && wish.count != 0) return fail(now.error());
    if (!now) {
      show_error(context, now.error());
      continue;
    }
    auto all = usage_of(before, *now);
    sort_by(all, wish.sort);
    if (context.options.json)
      print_json(all);
    else
      show(all, wish);
    before = std::move(*now);
  }
  return Exit::ok;
}

}  // namespace

void add_top(CLI::App& app, Context& context) {
  auto wish = std::make_shared<Wish>();
  auto* command = app.add_subcommand("top", "What each VM uses, beside its limits; updated in place");
  command->add_option("--interval", wish->interval, "Seconds between two readings (2)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0));
  command->add_option("--count", wish->count, "So many times; without it until Ctrl-C")
      ->type_name("N")
      ->check(CLI::Range(1, 1000000));
  command
      ->add_option("--sort", wish->sort, "cpu, steal, memory, read, write, receive, transmit (the most first), or name")
      ->check(CLI::IsMember({"cpu", "steal", "memory", "read", "write", "receive", "transmit", "name"}));
  command->footer(
      "CPU is of one host CPU: 150 % is one and a half; STEAL is what its vCPUs wanted besides, and did not get. Rates "
      "are of all disks, or NICs, together; the share in\n"
      "brackets is of the limit of the device that is nearest to its own. With --json one object a line.\n\n"
      "Examples:\n  vmsec top\n  vmsec top --sort transmit --interval 1\n  vmsec top --count 1 --json");
  context.on(command, [&context, wish] { return top(context, *wish); });
}

}  // namespace vmsec::cli
