#include "bulk_layer.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace vmsec::migration {

Result<std::unique_ptr<BulkLayer>> BulkLayer::create(Suite suite, int socket, std::string seal_secret,
                                                     std::string open_secret) {
  VMSEC_TRY(RecordCodec sealer, RecordCodec::create(RecordCodec::Use::seal, suite, std::move(seal_secret)));
  VMSEC_TRY(RecordCodec opener, RecordCodec::create(RecordCodec::Use::open, suite, std::move(open_secret)));
  return std::unique_ptr<BulkLayer>(new BulkLayer(socket, std::move(sealer), std::move(opener)));
}

Result<RecordLayer::Carried> BulkLayer::carried(const RecordCodec& codec) {
  VMSEC_TRY(std::string transcript, codec.digest());
  return Carried{codec.records(), std::move(transcript)};
}

Result<std::size_t> BulkLayer::write(RecordType type, std::span<unsigned char> buffer) {
  VMSEC_CHECK(sealer_.seal(type, buffer));
  VMSEC_CHECK(write_all(socket_, buffer, "send to the other host", Code::unavailable));
  return buffer.size();
}

Status BulkLayer::end_writing() {
  ::shutdown(socket_, SHUT_WR);
  return {};
}

Result<RecordLayer::Record> BulkLayer::read() {
  const auto receive = [this](std::span<unsigned char> room) -> Result<std::size_t> {
    while (true) {
      const ssize_t count = ::recv(socket_, room.data(), room.size(), 0);
      if (count > 0) return static_cast<std::size_t>(count);
      if (count == 0) return fail(Code::unavailable, "the connection was cut before the authenticated end");
      if (errno != EINTR) return fail(errno_error("receive from the other host", errno, Code::unavailable));
    }
  };
  VMSEC_TRY(const RecordBuffer::Whole record, incoming_.next(receive));
  VMSEC_CHECK(opener_.open(record.header, record.bytes));
  return Record{record.header.type, record.bytes.subspan(kHeaderSize, record.header.length), record.bytes.size()};
}

}  // namespace vmsec::migration
