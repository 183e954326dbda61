// The suite `bulk`: sealed records of our own (record.hpp).
#pragma once

#include "record_buffer.hpp"
#include "record_layer.hpp"

namespace vmsec::migration {

class BulkLayer final : public RecordLayer {
 public:
  static Result<std::unique_ptr<BulkLayer>> create(Suite suite, int socket, std::string seal_secret,
                                                   std::string open_secret);

  Status begin() override { return {}; }  // each record proves its sender's keys
  Result<std::size_t> write(RecordType type, std::span<unsigned char> buffer) override;
  Status end_writing() override;
  Result<Record> read() override;
  Status end_reading() override { return {}; }  // `end` is authenticated, and nothing behind it is looked at
  [[nodiscard]] Result<Carried> written() const override { return carried(sealer_); }
  [[nodiscard]] Result<Carried> received() const override { return carried(opener_); }

 private:
  BulkLayer(int socket, RecordCodec sealer, RecordCodec opener)
      : socket_(socket), sealer_(std::move(sealer)), opener_(std::move(opener)) {}
  static Result<Carried> carried(const RecordCodec& codec);

  const int socket_;
  RecordCodec sealer_;
  RecordCodec opener_;
  RecordBuffer incoming_{kTagSize};
};

}  // namespace vmsec::migration
