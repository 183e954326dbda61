// AES-GCM (NIST SP 800-38D) of whole records with one key, by a kernel of ours.
//
// Nonces have 12 bytes and tags 16. The block counter starts at 2 and a text has at
// most 2^32 - 2 blocks, so that it never wraps.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "gcm_kernel.hpp"
#include "vmsec/result.hpp"

namespace vmsec::migration {

class AesGcm {
 public:
  using Bytes = std::span<const unsigned char>;
  using Nonce = std::span<const unsigned char, kGcmNonce>;
  static constexpr std::uint64_t kMaximumText = ((std::uint64_t{1} << 32) - 2) * kGcmBlock;

  // key: 16 or 32 bytes. The kernel must be one that this CPU can run.
  static Result<AesGcm> create(const GcmKernel& kernel, Bytes key);

  // `out` is `in`, or does not overlap it, and has its size.
  Status seal(Nonce nonce, Bytes associated, Bytes in, std::span<unsigned char> out,
              std::span<unsigned char, kGcmBlock> tag) const;
  // `tampered` when the tag does not verify: `out` is then all zeros.
  Status open(Nonce nonce, Bytes associated, Bytes in, std::span<unsigned char> out,
              std::span<const unsigned char, kGcmBlock> tag) const;

 private:
  struct Wipe {
    void operator()(GcmTables* tables) const;
  };
  using Tables = std::unique_ptr<GcmTables, Wipe>;

  AesGcm(const GcmKernel& kernel, Tables tables) : kernel_(&kernel), tables_(std::move(tables)) {}

  const GcmKernel* kernel_;
  Tables tables_;
};

}  // namespace vmsec::migration
