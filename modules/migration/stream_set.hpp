// The streams of one migration, and what they must have carried before the switch-over.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "stream.hpp"

namespace vmsec::migration {

// Those that hold the guest: their contents are in the manifest.
constexpr bool in_manifest(ChannelKind kind) {
  return kind == ChannelKind::main || kind == ChannelKind::bulk || kind == ChannelKind::disk;
}

// Any thread.
class StreamSet {
 public:
  explicit StreamSet(Side side) : side_(side) {}
  ~StreamSet() { stop(); }

  Status add(StreamName name, Suite suite, StreamEnds ends);
  // Source: what the streams that hold the guest may send, all together. At once.
  void limit(BytesPerSecond bandwidth) { bandwidth_.set(bandwidth); }

  // Source, at its gate: the manifest, once every stream has sent all.
  Result<std::vector<FlushPoint>> flush(Clock::time_point deadline);
  // Destination: whether exactly these streams have brought exactly this, and
  // the hypervisor was handed all of it. `tampered` where they have not.
  Status verify(const std::vector<FlushPoint>& manifest, Clock::time_point deadline);

  // The first stream that broke.
  [[nodiscard]] std::optional<Error> failure() const;
  [[nodiscard]] StreamTotals totals() const;
  [[nodiscard]] std::uint32_t count() const;
  // Cuts all streams; add() then refuses. The totals stay.
  void stop();

 private:
  std::vector<std::shared_ptr<SealedStream>> in_manifest_streams() const;

  // Control and urgent streams never wait.
  Bandwidth* bandwidth_of(const StreamName& name) {
    return side_ == Side::source && in_manifest(name.kind) ? &bandwidth_ : nullptr;
  }

  const Side side_;
  Bandwidth bandwidth_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::shared_ptr<SealedStream>> streams_;
  std::optional<Error> failure_;
};

}  // namespace vmsec::migration
