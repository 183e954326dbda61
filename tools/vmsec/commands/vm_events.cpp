// vmsec vm events: what happened to the VMs, and, with --follow, what happens.
#include "commands/commands.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "vmsec/audit.hpp"
#include "vmsec/capability/events.hpp"

namespace vmsec::cli {
namespace {

constexpr Microseconds kPatience{500'000};  // so that Ctrl-C is answered soon

struct EventQuery {
  bool follow = false;
  std::uint64_t after = 0;
  std::uint64_t count = 0;  // 0: no bound
};

void print_header() { std::printf("%8s  %-27s  %-19s  %s\n", "NUMBER", "TIME", "EVENT", "VM, DETAIL"); }

void print_event(const Event& event) {
  std::printf("%8llu  %s  %-19s  %s%s%s\n", static_cast<unsigned long long>(event.sequence),
              audit_time(event.time).c_str(), std::string(name_of(event.kind)).c_str(), safe(event.name).c_str(),
              event.detail.empty() ? "" : "  ", safe(event.detail).c_str());
}

Ending follow(Context& context, Events& source, const EventQuery& wanted) {
  watch_interrupt();
  if (!context.options.json) print_header();
  std::uint64_t after = wanted.after;
  std::uint64_t shown = 0;
  while (!interrupted()) {
    VMSEC_TRY(const EventList list, source.next(NextEvents{after, kPatience, 0}));
    if (list.dropped > 0)
      std::fprintf(stderr, "vmsec: %llu events were no longer kept\n", static_cast<unsigned long long>(list.dropped));
    for (const auto& event : list.events) {
      if (context.options.json)
        Context::print_json_line(to_json(event));  // a stream has no end that could close an array
      else
        print_event(event);
      after = event.sequence;
      if (++shown == wanted.count) return Exit::ok;
    }
    std::fflush(stdout);
  }
  return Exit::ok;
}

Ending events(Context& context, const EventQuery& wanted) {
  VMSEC_TRY(const auto source, context.open<Events>());
  if (wanted.follow) return follow(context, *source, wanted);
  const auto maximum = static_cast<std::uint32_t>(wanted.count == 0 ? 1000 : wanted.count);
  VMSEC_TRY(const auto list, source->next(NextEvents{wanted.after, Microseconds{0}, maximum}));
  context.print(list, [](const EventList& found) {
    print_header();
    for (const auto& event : found.events) print_event(event);
  });
  return Exit::ok;
}

}  // namespace

void add_vm_events(CLI::App& vm, Context& context) {
  auto wanted = std::make_shared<EventQuery>();
  auto* command = vm.add_subcommand("events", "What happened to the VMs since the agent started");
  command->add_flag("--follow,-f", wanted->follow, "Go on until Ctrl-C; with --json one object a line");
  command->add_option("--after", wanted->after, "Only events with a higher sequence number")->type_name("N");
  command->add_option("--count", wanted->count, "At most so many")->type_name("N")->check(CLI::Range(1, 100000));
  command->footer(
      "Examples:\n  vmsec vm events\n  vmsec vm events --follow\n  vmsec vm events --follow --json | jq .kind");
  context.on(command, [&context, wanted] { return events(context, *wanted); });
}

}  // namespace vmsec::cli
