// What the channels beside control carry between two simulated hosts.
#pragma once

#include "session_messages.hpp"

namespace vmsec::sim {

using common::Control;
using common::ControlKind;
using common::kBulkMaximum;
using common::kProtocolVersion;

// One record on a channel that carries memory or state: little endian, 16 bytes,
// then its payload.
enum class DataKind : std::uint32_t {
  pages = 1,   // `count` pages from `page` on follow, 1 to 32
  zeros = 2,   // `count` pages from `page` on are zero; nothing follows
  state = 3,   // a MachineState of `count` bytes follows
  behind = 5,  // a bitmap of `count` bytes follows: the `page` pages that this host still has, 64 a word
  end = 4,     // of this channel; `page` is how many pages its records named
};

struct DataHeader {
  DataKind kind;
  std::uint32_t count;
  std::uint64_t page;
};
static_assert(sizeof(DataHeader) == 16);

// On the urgent channel, to the source: a page that the guest waits for.
struct PageRequest {
  std::uint64_t page;
};

inline constexpr std::uint32_t kPagesMaximum = 32;
inline constexpr std::uint32_t kStateMaximum = 1 << 20;

}  // namespace vmsec::sim
