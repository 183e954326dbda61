// How a stream's records cross the network: one interface, and both suites behind it.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "protocol.hpp"
#include "record.hpp"

namespace vmsec::migration {

// Over a connected socket that it does not own. One thread writes and one reads, at the same time; whoever shuts
// the socket down wakes both.
class RecordLayer {
 public:
  struct Record {
    RecordType type = RecordType::data;
    std::span<const unsigned char> payload;  // until the next read()
    std::size_t wire_size = 0;               // what came over the network for it
  };
  // What one direction has carried so far, as the manifest has it.
  struct Carried {
    std::uint64_t records = 0;
    std::string transcript;
  };

  virtual ~RecordLayer() = default;
  // Once, before all else: waits until both ends know that they have the same keys.
  virtual Status begin() = 0;
  // buffer: room for a header (kHeaderSize), the payload, room for a tag (kTagSize). Answers how many bytes went out.
  virtual Result<std::size_t> write(RecordType type, std::span<unsigned char> buffer) = 0;
  // Behind the record `end`: this direction is closed.
  virtual Status end_writing() = 0;
  // `tampered`: not the peer's next record; `unavailable`: the connection was cut.
  virtual Result<Record> read() = 0;
  // Behind the record `end`: an error unless nothing more can come.
  virtual Status end_reading() = 0;

  // Of the writing thread; of the reading one.
  [[nodiscard]] virtual Result<Carried> written() const = 0;
  [[nodiscard]] virtual Result<Carried> received() const = 0;
};

// By the name's suite. The secrets are those of stream_secret().
Result<std::unique_ptr<RecordLayer>> make_record_layer(const StreamName& name, Side side, Suite suite, int socket,
                                                       std::string seal_secret, std::string open_secret);

// `invalid_argument` for a suite that has not this cipher.
Status check_suite(StreamSuite suite, Cipher cipher);
// Who seals, as status, report and audit say it: "TLS_AES_128_GCM_SHA256 by OpenSSL 3.0.17, suite tls".
std::string implementation_of(StreamSuite stream_suite, Suite suite);

// All of it, or an error with this code.
Status write_all(int socket, std::span<const unsigned char> bytes, std::string_view operation, Code code);

}  // namespace vmsec::migration
