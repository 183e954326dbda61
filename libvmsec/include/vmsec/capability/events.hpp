// What happens to domains, in the order in which the backend saw it.
#pragma once

#include <string>
#include <vector>

#include "vmsec/capability/domain_control.hpp"

namespace vmsec {

enum class EventKind : std::uint32_t {
  unknown = 0,
  domain_started = 1,
  domain_paused = 2,
  domain_resumed = 3,
  domain_stopped = 4,
  domain_defined = 5,
  domain_undefined = 6,
  migration_iteration = 7,
  backend_lost = 8,  // the hypervisor's daemon is gone; events may be missed until backend_restored
  backend_restored = 9,
  limits_changed = 10,
  devices_changed = 11,  // plugged in or taken away while the domain runs; not told by every backend
};

struct Event {
  std::uint64_t sequence = 0;  // of this backend, ascending from 1
  EventKind kind = EventKind::unknown;
  Uuid domain;        // nil where it is about no domain
  std::string name;   // the domain's
  Microseconds time;  // since 1970-01-01T00:00:00Z
  std::string detail;
  static constexpr std::string_view kMessage = "vmsec.Event";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "sequence", &Event::sequence), wire::field(2, "kind", &Event::kind),
                        wire::field(3, "domain", &Event::domain), wire::field(4, "name", &Event::name),
                        wire::field(5, "time", &Event::time), wire::field(6, "detail", &Event::detail));
  }
};

struct NextEvents {
  std::uint64_t after = 0;    // events with a higher sequence; 0 from the oldest kept
  Microseconds wait;          // how long to wait for the first one
  std::uint32_t maximum = 0;  // 0: 100
  static constexpr std::string_view kMessage = "vmsec.NextEvents";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "after", &NextEvents::after), wire::field(2, "wait", &NextEvents::wait),
                        wire::field(3, "maximum", &NextEvents::maximum));
  }
};

struct EventList {
  std::vector<Event> events;  // none when the time was up
  std::uint64_t dropped = 0;  // how many after `after` were no longer kept
  std::uint64_t last = 0;     // the newest sequence there is
  static constexpr std::string_view kMessage = "vmsec.EventList";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "events", &EventList::events), wire::field(2, "dropped", &EventList::dropped),
                        wire::field(3, "last", &EventList::last));
  }
};

// A backend keeps at least the last 1,000 events. Any number may wait at once.
class Events {
 public:
  virtual ~Events() = default;
  virtual Result<EventList> next(const NextEvents&) = 0;
};

template <>
struct Methods<Events> {
  static constexpr std::string_view kName = "vmsec.Events";
  static constexpr auto table() { return std::make_tuple(method(1, "Next", &Events::next)); }
};

template <>
class Proxy<Events> final : public Remote<Events> {
 public:
  using Remote::Remote;
  Result<EventList> next(const NextEvents& r) override { return invoke<1>(r); }
};

}  // namespace vmsec
