#include "accelerated_aead.hpp"

namespace vmsec::migration {
namespace {

std::unexpected<Error> no_key() { return fail(Code::internal, "seal or open a record: there is no key yet"); }

}  // namespace

Status AcceleratedAead::set_key(std::string_view key) {
  gcm_.reset();
  if (key.size() != key_size_)
    return fail(Code::internal,
                "set a record key of " + std::to_string(key.size()) + " bytes: want " + std::to_string(key_size_));
  VMSEC_TRY(gcm_, AesGcm::create(kernel_, {reinterpret_cast<const unsigned char*>(key.data()), key.size()}));
  return {};
}

Status AcceleratedAead::seal(const AeadNonce& nonce, std::span<const unsigned char> associated,
                             std::span<unsigned char> text, std::span<unsigned char, kTagSize> tag) {
  if (!gcm_) return no_key();
  return gcm_->seal(nonce, associated, text, text, tag);
}

Status AcceleratedAead::open(const AeadNonce& nonce, std::span<const unsigned char> associated,
                             std::span<unsigned char> text, std::span<const unsigned char, kTagSize> tag) {
  if (!gcm_) return no_key();
  return gcm_->open(nonce, associated, text, text, tag);
}

}  // namespace vmsec::migration
