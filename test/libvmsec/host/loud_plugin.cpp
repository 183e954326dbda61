// A plugin that leaves a mark in whatever process maps it.
#include <cstdlib>

#include "vmsec/backend.hpp"

namespace {

__attribute__((constructor)) void early() { ::setenv("VMSEC_TEST_LOUD_PLUGIN", "ran", 1); }

vmsec::Result<std::unique_ptr<vmsec::Backend>> open(const vmsec::BackendOptions&) {
  return vmsec::fail(vmsec::Code::unsupported, "it opens nothing");
}

}  // namespace

VMSEC_PLUGIN("loud", "Says that it ran", open);
