#include <libvirt/libvirt.h>

#include <catch2/catch.hpp>

#include "event_names.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("libvirt's lifecycle events have names of ours") {
  CHECK(lifecycle_kind(VIR_DOMAIN_EVENT_SUSPENDED) == EventKind::domain_paused);
  CHECK(lifecycle_kind(VIR_DOMAIN_EVENT_RESUMED) == EventKind::domain_resumed);
  CHECK(lifecycle_kind(VIR_DOMAIN_EVENT_CRASHED) == EventKind::domain_stopped);
  CHECK_FALSE(lifecycle_kind(VIR_DOMAIN_EVENT_SHUTDOWN).has_value());
  CHECK(lifecycle_kind(1000) == EventKind::unknown);
  CHECK(lifecycle_detail(VIR_DOMAIN_EVENT_STOPPED, VIR_DOMAIN_EVENT_STOPPED_MIGRATED) == "migrated");
  CHECK(lifecycle_detail(VIR_DOMAIN_EVENT_SUSPENDED, VIR_DOMAIN_EVENT_SUSPENDED_IOERROR) == "I/O error");
  CHECK(lifecycle_detail(VIR_DOMAIN_EVENT_STOPPED, -1).empty());
  CHECK(lifecycle_detail(VIR_DOMAIN_EVENT_STOPPED, 1000).empty());
}
