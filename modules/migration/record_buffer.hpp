// Where records are put together from a stream of bytes.
#pragma once

#include <algorithm>
#include <vector>

#include "record.hpp"

namespace vmsec::migration {

class RecordBuffer {
 public:
  struct Whole {
    RecordHeader header;
    std::span<unsigned char> bytes;  // header, payload, trailer; until the next call
  };

  // trailer: what follows each payload.
  explicit RecordBuffer(std::size_t trailer) : trailer_(trailer), storage_(kHeaderSize) {}

  // The next record. read(room) answers how many bytes it has put there, at least one; its error is ours.
  template <class Read>
  Result<Whole> next(Read&& read) {
    have_ -= done_;
    std::copy_n(storage_.data() + done_, have_, storage_.data());
    done_ = 0;
    VMSEC_CHECK(fill(kHeaderSize, kHeaderSize, read));
    const std::span<const unsigned char, kHeaderSize> head(storage_.data(), kHeaderSize);
    VMSEC_TRY(const RecordHeader header, read_header(head));
    const std::size_t size = kHeaderSize + header.length + trailer_;
    // The header of the next one comes along with it.
    VMSEC_CHECK(fill(size, size + kHeaderSize, read));
    done_ = size;
    return Whole{header, std::span(storage_).first(size)};
  }

  // Bytes that came behind the last record.
  [[nodiscard]] std::size_t left() const { return have_ - done_; }

 private:
  template <class Read>
  Status fill(std::size_t want, std::size_t room, Read& read) {
    if (storage_.size() < room) storage_.resize(room);  // as large as the largest record so far
    while (have_ < want) {
      VMSEC_TRY(const std::size_t count, read(std::span(storage_).subspan(have_, room - have_)));
      have_ += count;
    }
    return {};
  }

  std::size_t trailer_;
  std::vector<unsigned char> storage_;
  std::size_t have_ = 0;
  std::size_t done_ = 0;  // of it, the record that was given out
};

}  // namespace vmsec::migration
