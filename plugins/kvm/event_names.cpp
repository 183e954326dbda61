#include "event_names.hpp"

#include <libvirt/libvirt.h>

#include <span>
#include <string_view>

namespace vmsec::kvm {
namespace {

// Each in the order of libvirt's enumeration.
constexpr std::string_view kStarted[] = {"booted", "migrated", "restored", "from snapshot", "woken up"};
constexpr std::string_view kSuspended[] = {"paused",          "migrated",      "I/O error",          "watchdog",
                                           "restored",        "from snapshot", "internal API error", "post-copy",
                                           "post-copy failed"};
constexpr std::string_view kResumed[] = {"unpaused", "migrated", "from snapshot", "post-copy", "post-copy failed"};
constexpr std::string_view kStopped[] = {"shut down", "destroyed", "crashed",      "migrated",
                                         "saved",     "failed",    "from snapshot"};

std::span<const std::string_view> details_of(int event) {
  switch (event) {
    case VIR_DOMAIN_EVENT_STARTED:
      return kStarted;
    case VIR_DOMAIN_EVENT_SUSPENDED:
      return kSuspended;
    case VIR_DOMAIN_EVENT_RESUMED:
      return kResumed;
    case VIR_DOMAIN_EVENT_STOPPED:
      return kStopped;
    default:
      return {};
  }
}

}  // namespace

std::optional<EventKind> lifecycle_kind(int event) {
  switch (event) {
    case VIR_DOMAIN_EVENT_DEFINED:
      return EventKind::domain_defined;
    case VIR_DOMAIN_EVENT_UNDEFINED:
      return EventKind::domain_undefined;
    case VIR_DOMAIN_EVENT_STARTED:
      return EventKind::domain_started;
    case VIR_DOMAIN_EVENT_SUSPENDED:
    case VIR_DOMAIN_EVENT_PMSUSPENDED:
      return EventKind::domain_paused;
    case VIR_DOMAIN_EVENT_RESUMED:
      return EventKind::domain_resumed;
    case VIR_DOMAIN_EVENT_STOPPED:
    case VIR_DOMAIN_EVENT_CRASHED:
      return EventKind::domain_stopped;
    case VIR_DOMAIN_EVENT_SHUTDOWN:  // "stopped" follows
      return std::nullopt;
    default:
      return EventKind::unknown;
  }
}

std::string lifecycle_detail(int event, int detail) {
  if (event == VIR_DOMAIN_EVENT_CRASHED) return "crashed";
  const auto names = details_of(event);
  if (detail < 0 || static_cast<std::size_t>(detail) >= names.size()) return {};
  return std::string(names[static_cast<std::size_t>(detail)]);
}

}  // namespace vmsec::kvm
