// The suite `tls`: a TLS 1.3 connection of the stream's own, made by OpenSSL, and frames inside of it.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

#include "frame_count.hpp"
#include "record_buffer.hpp"
#include "record_layer.hpp"
#include "tls_context.hpp"
#include "tls_socket.hpp"

namespace vmsec::migration {

// The writer's key is renewed after so many bytes: 2^32 AES blocks, at most 2^22 full records. RFC 8446 5.5 allows
// 2^24.5.
inline constexpr std::uint64_t kBytesPerTlsKey = std::uint64_t{1} << 36;

class TlsLayer final : public RecordLayer {
 public:
  static Result<std::unique_ptr<TlsLayer>> create(TlsRole role, Cipher cipher, TlsPsk psk, int socket,
                                                  std::uint64_t bytes_per_key = kBytesPerTlsKey);
  ~TlsLayer() override;

  // The handshake; `unauthenticated` unless both have the same key, `timeout` where the peer says nothing.
  Status begin() override;
  Result<std::size_t> write(RecordType type, std::span<unsigned char> buffer) override;
  Status end_writing() override;
  Result<Record> read() override;
  Status end_reading() override;
  [[nodiscard]] Result<Carried> written() const override { return carried(sent_); }
  [[nodiscard]] Result<Carried> received() const override { return carried(taken_); }

  [[nodiscard]] std::uint64_t key_updates() const { return key_updates_; }

 private:
  // What one call of OpenSSL came to.
  struct Step {
    int result = 0;  // SSL_ERROR_...
    unsigned long queue = 0;
  };

  TlsLayer(TlsOffer offer, int socket, std::uint64_t bytes_per_key)
      : offer_(std::move(offer)), bytes_per_key_(bytes_per_key), socket_(socket) {}
  template <class Operation>
  Step step(Operation operation);
  Status update_key();
  Status handshake();
  Status agree();
  Result<std::size_t> read_some(std::span<unsigned char> room);
  Result<std::size_t> flush();
  // What OpenSSL answers to what came, if nobody writes just now: best effort.
  void answer();
  static void on_message(int written, int version, int type, const void* bytes, std::size_t size, SSL* ssl,
                         void* layer);
  Status wait_for_peer(int milliseconds) const;
  [[nodiscard]] Error error_of(const Step& step) const;
  static Result<Carried> carried(const std::optional<FrameCount>& frames);

  TlsOffer offer_;
  const std::uint64_t bytes_per_key_;
  std::mutex mutex_;  // OpenSSL's objects are one thread's at a time; nobody waits for the peer under it
  std::mutex wire_;   // what leaves, in its order
  TlsSocket socket_;
  SslContext context_;
  Ssl ssl_;
  bool agreed_ = false;

  // The writer's.
  std::vector<unsigned char> leaving_;
  std::size_t uncounted_ = 0;  // the handshake's bytes: the first frame's
  std::optional<FrameCount> sent_;
  std::uint64_t since_update_ = 0;
  std::atomic<std::uint64_t> key_updates_ = 0;

  // The reader's.
  RecordBuffer incoming_{0};
  std::optional<FrameCount> taken_;
  std::uint64_t counted_ = 0;                // of the socket's bytes
  std::atomic<std::uint32_t> messages_ = 0;  // of the handshake's kind, since the last frame
  bool closed_ = false;
  std::optional<Error> broken_;  // found behind bytes that were good
};

}  // namespace vmsec::migration
