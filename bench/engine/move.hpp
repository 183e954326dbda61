// One guest, moved once between two simulated hosts in this process.
#pragma once

#include <filesystem>

#include "vmsec/types.hpp"
#include "ways.hpp"

namespace vmsec::bench {

struct Guest {
  Bytes memory;
  std::uint32_t streams = 0;  // bulk channels; 0: all through main
};

struct Figures {
  double seconds = 0;      // from the source's start to the destination's "loaded"
  double cpu_seconds = 0;  // of this process meanwhile: both engines and all that carries
};

// A new guest, whose memory is full before the clock starts.
Result<Figures> move_once(const std::filesystem::path& folder, const Guest& guest, const Way& way);

}  // namespace vmsec::bench
