// AES-GCM as the accelerator does it.
#pragma once

#include <optional>

#include "accelerator/aes_gcm.hpp"
#include "aead.hpp"

namespace vmsec::migration {

class AcceleratedAead final : public Aead {
 public:
  AcceleratedAead(const GcmKernel& kernel, std::size_t key_size) : kernel_(kernel), key_size_(key_size) {}

  [[nodiscard]] std::size_t key_size() const override { return key_size_; }
  Status set_key(std::string_view key) override;
  Status seal(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
              std::span<unsigned char, kTagSize> tag) override;
  Status open(const AeadNonce& nonce, std::span<const unsigned char> associated, std::span<unsigned char> text,
              std::span<const unsigned char, kTagSize> tag) override;

 private:
  const GcmKernel& kernel_;
  std::size_t key_size_;
  std::optional<AesGcm> gcm_;
};

}  // namespace vmsec::migration
