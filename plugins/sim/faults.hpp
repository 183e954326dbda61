// Faults on demand, for tests of everybody above the hypervisor (README.md: "Faults").
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "vmsec/capability/migration.hpp"

namespace vmsec::sim {

// Any thread may call.
class Faults {
 public:
  static constexpr std::string_view kPrefix = "fault.";
  static constexpr int kDeathStatus = 86;

  // One setting whose key begins with kPrefix. An unknown method, code, channel
  // or step is an error.
  Status add(std::string_view key, std::string_view value);

  // Every method of every capability asks this first: "DomainControl.Pause".
  Status call(std::string_view method);
  // The process dies here where it was told so, without a destructor.
  void step(std::string_view name);
  // After how many bytes this channel breaks. Told once: the next session's is whole.
  std::optional<std::uint64_t> cut(ChannelKind kind, std::uint32_t index);

 private:
  struct CallFault {
    Code code;
    std::uint64_t which = 0;  // the call that fails, from 1; 0: each
    std::uint64_t calls = 0;
  };
  struct Cut {
    ChannelKind kind;
    std::uint32_t index;
    std::uint64_t bytes;
  };
  Status add_cut(std::string_view value);

  std::mutex mutex_;
  std::map<std::string, CallFault, std::less<>> calls_;
  std::optional<Cut> cut_;
  std::string death_;
};

}  // namespace vmsec::sim
