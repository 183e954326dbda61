// The engine's end of one channel.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>

#include "session_messages.hpp"
#include "vmsec/capability/migration.hpp"

namespace vmsec::common {

// One thread sends and one receives, at the same time; any thread breaks it off.
class Stream {
 public:
  // Makes a pair: this end, and the near end for the migration module. `cut`: the fault that a test
  // asks for, breaks it off after so many bytes.
  static Result<std::unique_ptr<Stream>> open(ChannelKind kind, std::uint32_t index, std::optional<std::uint64_t> cut,
                                              Fd& near_end);

  // An error means that the other side cannot have all of these bytes.
  Status send(const void* bytes, std::size_t size);
  // Exactly so many bytes. The end of the stream is an error.
  Status receive(void* bytes, std::size_t size);
  Status send(const Control& message);
  Result<Control> receive_control();
  void end_sending();
  [[nodiscard]] int fd() const { return fd_.get(); }
  // Whoever sends or receives gets an error.
  void break_off();

 private:
  Stream(Fd fd, std::string name, std::optional<std::uint64_t> cut) : fd_(std::move(fd)), name_(std::move(name)) {
    if (cut) left_.store(*cut);
  }
  std::size_t allowed(std::size_t size);

  const Fd fd_;
  const std::string name_;
  std::atomic<std::uint64_t> left_{UINT64_MAX};  // bytes until the fault that was asked for
};

// A whole control frame's message, checked. For the stream and for the fuzzer.
Result<Control> decode_control(std::string_view bytes);

}  // namespace vmsec::common
