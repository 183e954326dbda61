// libvirt's lifecycle events as ours.
#pragma once

#include <optional>
#include <string>

#include "vmsec/capability/events.hpp"

namespace vmsec::kvm {

// None for an event that another one tells as well.
std::optional<EventKind> lifecycle_kind(int event);
std::string lifecycle_detail(int event, int detail);

}  // namespace vmsec::kvm
