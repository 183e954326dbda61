// Reads the records of one memory or state channel.
#pragma once

#include <functional>
#include <optional>

#include "data_records.hpp"
#include "guest_memory.hpp"
#include "machine.hpp"

namespace vmsec::sim {

// What is still behind where the guest is loaded, and what had come before.
struct Behind {
  std::vector<std::uint64_t> bits;  // 64 pages a word
  std::uint64_t records = 0;
  Digest pages;
};

// What arrived on all channels together. One per session.
struct Arrived {
  std::mutex mutex;
  std::vector<Digest> pages;  // of what each page holds now; zeros count nothing
  std::uint64_t records = 0;
  std::optional<MachineState> state;
  std::optional<Behind> behind;  // from then on what comes is one of its pages, or no longer wanted
  std::function<void()> on_behind = [] {};
};

// `receive` gives exactly so many bytes, or an error. Answers when the channel
// has ended as it should; a record that is not allowed is `invalid_argument`.
using ReceiveBytes = std::function<Status(void*, std::size_t)>;
Status read_data(const ReceiveBytes& receive, GuestMemory& memory, Arrived& arrived);

}  // namespace vmsec::sim
