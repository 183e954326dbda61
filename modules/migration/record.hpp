// Sealed records: what a stream's bytes look like on the wire.
//
//   length   4 bytes, big-endian: of the payload
//   type     1 byte
//   zero     3 bytes
//   sequence 8 bytes, big-endian: 0, 1, 2, ... in each direction
//   payload  encrypted; in the clear with cipher "none"
//   tag      16 bytes over header and payload
//
// The nonce is the epoch's base XOR the sequence: none is used twice with a key.
// After kRecordsPerKey records both ends move to the next epoch's key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "aead.hpp"
#include "key_schedule.hpp"
#include "openssl.hpp"

namespace vmsec::migration {

inline constexpr std::size_t kHeaderSize = 16;
inline constexpr std::size_t kMaximumPayload = 1 << 20;    // accepted
inline constexpr std::size_t kPreferredPayload = 1 << 18;  // sent
// 2^18 records of at most 2^16 AES blocks each: within RFC 8446's margin for GCM (5.5).
inline constexpr std::uint64_t kRecordsPerKey = 1 << 18;
inline constexpr std::uint64_t kMaximumSequence = 1ULL << 48;

enum class RecordType : std::uint8_t {
  data = 1,
  end = 2,   // no more from this side: what EOF is worth
  mark = 3,  // everything that the guest had to send lies before this one
};

struct RecordHeader {
  std::uint32_t length = 0;
  RecordType type = RecordType::data;
  std::uint64_t sequence = 0;
};

using HeaderBytes = std::span<unsigned char, kHeaderSize>;
void write_header(const RecordHeader& header, HeaderBytes out);
// `tampered` for a length, type or padding that no sender of ours writes.
Result<RecordHeader> read_header(std::span<const unsigned char, kHeaderSize> bytes);

// The running SHA-256 over the tags of one direction's records, in order.
class Transcript {
 public:
  static Result<Transcript> create();
  Status add(std::span<const unsigned char> tag);
  [[nodiscard]] Result<std::string> digest() const;  // of what was added so far

 private:
  DigestContext context_;
};

// Seals or opens the records of one direction. Not thread-safe.
class RecordCodec {
 public:
  using Use = AeadUse;
  // `secret` as stream_secret() made it.
  static Result<RecordCodec> create(Use use, Suite suite, std::string secret,
                                    std::uint64_t records_per_key = kRecordsPerKey);
  RecordCodec(RecordCodec&&) = default;
  RecordCodec& operator=(RecordCodec&&) = default;
  ~RecordCodec();

  // buffer: header, payload, tag. Fills in the header, encrypts the payload in
  // place and appends the tag. `limit_exceeded` when the sequence is used up.
  Status seal(RecordType type, std::span<unsigned char> buffer);
  // Verifies and decrypts in place. `tampered`: not the next record of this
  // direction, or changed; the codec then opens nothing any more, and of a
  // changed record's payload nothing is left.
  Status open(const RecordHeader& header, std::span<unsigned char> buffer);

  [[nodiscard]] std::uint64_t records() const { return sequence_; }
  [[nodiscard]] Result<std::string> digest() const { return transcript_.digest(); }

 private:
  // A record's parts, as the AEAD sees them.
  struct Parts {
    std::span<const unsigned char> associated;
    std::span<unsigned char> text;
    std::span<unsigned char, kTagSize> tag;
  };
  RecordCodec(Cipher cipher, std::uint64_t records_per_key, Transcript transcript, std::unique_ptr<Aead> aead)
      : cipher_(cipher),
        records_per_key_(records_per_key),
        aead_(std::move(aead)),
        transcript_(std::move(transcript)) {}
  Status next_epoch();
  [[nodiscard]] Parts parts_of(std::span<unsigned char> buffer) const;
  [[nodiscard]] AeadNonce nonce() const;
  Status advance(std::span<const unsigned char> tag);

  Cipher cipher_;
  std::uint64_t records_per_key_;
  std::uint64_t sequence_ = 0;
  bool broken_ = false;
  std::string secret_;  // of the epoch after the current one
  EpochKeys keys_;
  std::unique_ptr<Aead> aead_;
  Transcript transcript_;
};

}  // namespace vmsec::migration
