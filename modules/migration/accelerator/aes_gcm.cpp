#include "aes_gcm.hpp"

#include <openssl/crypto.h>

#include <functional>
#include <string>

namespace vmsec::migration {
namespace {

Status check_bounds(AesGcm::Bytes in, std::span<unsigned char> out) {
  if (in.size() != out.size())
    return fail(Code::invalid_argument, "AES-GCM of " + std::to_string(in.size()) + " bytes into " +
                                            std::to_string(out.size()) + ": sizes differ");
  if (in.size() > AesGcm::kMaximumText)
    return fail(Code::limit_exceeded, "AES-GCM of " + std::to_string(in.size()) + " bytes: the limit is " +
                                          std::to_string(AesGcm::kMaximumText));
  const std::less<const unsigned char*> before;
  const bool apart = !before(in.data(), out.data() + out.size()) || !before(out.data(), in.data() + in.size());
  if (!apart && in.data() != out.data())
    return fail(Code::invalid_argument, "AES-GCM into a buffer that overlaps its input in part");
  return {};
}

}  // namespace

void AesGcm::Wipe::operator()(GcmTables* tables) const {
  OPENSSL_cleanse(tables, sizeof *tables);
  delete tables;
}

Result<AesGcm> AesGcm::create(const GcmKernel& kernel, Bytes key) {
  if (key.size() != 16 && key.size() != 32)
    return fail(Code::invalid_argument,
                "AES-GCM with a key of " + std::to_string(key.size()) + " bytes: want 16 or 32");
  Tables tables(new GcmTables);
  kernel.set_key(*tables, key);
  return AesGcm(kernel, std::move(tables));
}

Status AesGcm::seal(Nonce nonce, Bytes associated, Bytes in, std::span<unsigned char> out,
                    std::span<unsigned char, kGcmBlock> tag) const {
  VMSEC_CHECK(check_bounds(in, out));
  kernel_->encrypt(*tables_, {nonce.data(), associated, in.data(), out.data(), in.size()}, tag.data());
  return {};
}

Status AesGcm::open(Nonce nonce, Bytes associated, Bytes in, std::span<unsigned char> out,
                    std::span<const unsigned char, kGcmBlock> tag) const {
  VMSEC_CHECK(check_bounds(in, out));
  unsigned char wanted[kGcmBlock];
  kernel_->decrypt(*tables_, {nonce.data(), associated, in.data(), out.data(), in.size()}, wanted);
  const bool good = CRYPTO_memcmp(wanted, tag.data(), sizeof wanted) == 0;
  OPENSSL_cleanse(wanted, sizeof wanted);  // what a forger would need
  if (good) return {};
  OPENSSL_cleanse(out.data(), out.size());
  return fail(Code::tampered, "AES-GCM: the tag does not verify");
}

}  // namespace vmsec::migration
