#include "stream_set.hpp"

#include <algorithm>

namespace vmsec::migration {
namespace {

Status matches(const FlushPoint& wanted, const FlushPoint& have, const StreamName& name) {
  const auto differs = [&](std::string_view what, std::uint64_t sent, std::uint64_t received) {
    return fail(Code::tampered, "check the manifest: stream " + to_string(name) + " has " + std::to_string(received) +
                                    " " + std::string(what) + ", the source sent " + std::to_string(sent));
  };
  if (wanted.bytes != have.bytes) return differs("bytes", wanted.bytes.value, have.bytes.value);
  if (wanted.records != have.records) return differs("records", wanted.records, have.records);
  if (!equal_secrets(wanted.transcript, have.transcript))
    return fail(Code::tampered, "check the manifest: stream " + to_string(name) + " has another transcript");
  return {};
}

}  // namespace

Status StreamSet::add(StreamName name, Suite suite, StreamEnds ends) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail(Code::cancelled, "add stream " + to_string(name) + ": the migration has ended");
  Bandwidth* const bandwidth = bandwidth_of(name);
  VMSEC_TRY(auto stream, SealedStream::start(std::move(name), side_, suite, std::move(ends), bandwidth,
                                             [this](const StreamName&, const Error& error) {
                                               const std::lock_guard guard(mutex_);
                                               if (!failure_) failure_ = error;
                                             }));
  streams_.push_back(std::move(stream));
  return {};
}

std::vector<std::shared_ptr<SealedStream>> StreamSet::in_manifest_streams() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<SealedStream>> out;
  std::copy_if(streams_.begin(), streams_.end(), std::back_inserter(out),
               [](const auto& stream) { return in_manifest(stream->name().kind); });
  return out;
}

Result<std::vector<FlushPoint>> StreamSet::flush(Clock::time_point deadline) {
  const auto streams = in_manifest_streams();
  if (streams.empty()) return fail(Code::internal, "make the manifest: no stream carries the guest");
  for (const auto& stream : streams) stream->request_mark();
  std::vector<FlushPoint> manifest;
  for (const auto& stream : streams) {
    VMSEC_TRY(FlushPoint point, stream->flushed(deadline));
    manifest.push_back(std::move(point));
  }
  return manifest;
}

Status StreamSet::verify(const std::vector<FlushPoint>& manifest, Clock::time_point deadline) {
  const auto streams = in_manifest_streams();
  if (streams.empty() || streams.size() != manifest.size())
    return fail(Code::tampered, "check the manifest: it names " + std::to_string(manifest.size()) + " streams, " +
                                    std::to_string(streams.size()) + " are here");
  for (const auto& stream : streams) {
    const StreamName& name = stream->name();
    const auto wanted = std::find_if(manifest.begin(), manifest.end(), [&](const FlushPoint& point) {
      return point.kind == name.kind && point.index == name.index;
    });
    if (wanted == manifest.end())
      return fail(Code::tampered, "check the manifest: it does not name stream " + to_string(name));
    VMSEC_TRY(const FlushPoint have, stream->flushed(deadline));
    VMSEC_CHECK(matches(*wanted, have, name));
  }
  return {};
}

std::optional<Error> StreamSet::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

StreamTotals StreamSet::totals() const {
  const std::lock_guard lock(mutex_);
  StreamTotals sum;
  for (const auto& stream : streams_) {
    const StreamTotals one = stream->totals();
    sum.wire_bytes += one.wire_bytes;
    if (in_manifest(stream->name().kind) || stream->name().kind == ChannelKind::urgent)
      sum.guest_bytes += one.guest_bytes;
    sum.progress += one.progress;
    sum.cpu_microseconds += one.cpu_microseconds;
  }
  return sum;
}

std::uint32_t StreamSet::count() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint32_t>(streams_.size());
}

void StreamSet::stop() {
  std::vector<std::shared_ptr<SealedStream>> streams;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    streams = streams_;
  }
  // Not under the lock: a stream that breaks right now takes it.
  for (const auto& stream : streams) stream->stop();
}

}  // namespace vmsec::migration
