// A page that a worker and its host share: why the worker ends, where the kernel does
// not say. The module can write to it, so it is good for a message and no more.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace vmsec::worker {

struct Notes {
  std::atomic<std::uint32_t> refused;           // system calls that were answered "not permitted"
  std::atomic<std::uint32_t> no_memory;         // not 0: it crashed when there was no more memory to be had
  std::array<std::atomic<char>, 24> last;       // the name of the last one of those
  std::array<std::atomic<char>, 24> forbidden;  // of the one that ended it
};
inline constexpr std::size_t kNotesSize = 4096;
static_assert(sizeof(Notes) <= kNotesSize);
static_assert(std::atomic<char>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

// Exit codes of a worker that ended itself.
enum class WorkerExit : int { in_order = 0, forbidden = 120, aborted = 121, no_host = 122 };

}  // namespace vmsec::worker
