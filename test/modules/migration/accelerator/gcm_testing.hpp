// What the accelerator's tests share: the kernels of this CPU, and EVP beside them.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "accelerator/accelerator.hpp"
#include "accelerator/aes_gcm.hpp"
#include "evp_aead.hpp"

namespace vmsec::migration::test {

using Buffer = std::vector<unsigned char>;
using TagSpan = std::span<unsigned char, kGcmBlock>;

// Those that this CPU runs; says so when there are none.
inline std::vector<const GcmKernel*> kernels_here() {
  std::vector<const GcmKernel*> out;
  for (const GcmKernel* kernel : gcm_kernels())
    if (kernel->missing(cpu_features()).empty()) out.push_back(kernel);
  if (out.empty()) WARN("skipped: this CPU, or this build, runs no kernel of the accelerator");
  return out;
}

// Bytes that do not repeat within any test's length.
inline Buffer noise(std::size_t size, std::uint64_t seed) {
  Buffer out(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (unsigned char& byte : out) {
    state = state * 6364136223846793005 + 1442695040888963407;
    byte = static_cast<unsigned char>(state >> 56);
  }
  return out;
}

struct Sealed {
  Buffer text;
  Buffer tag = Buffer(kGcmBlock);
};

inline TagSpan tag_of(Buffer& tag) { return std::span<unsigned char>(tag).first<kGcmBlock>(); }
inline std::span<const unsigned char, kGcmBlock> tag_of(const Buffer& tag) {
  return std::span<const unsigned char>(tag).first<kGcmBlock>();
}
inline AesGcm::Nonce nonce_of(const Buffer& nonce) { return std::span<const unsigned char>(nonce).first<kGcmNonce>(); }

// One key, at both implementations.
class Both {
 public:
  Both(const GcmKernel& kernel, Buffer key)
      : gcm_(*AesGcm::create(kernel, key)), sealer_(evp(AeadUse::seal, key)), opener_(evp(AeadUse::open, key)) {}

  [[nodiscard]] const AesGcm& gcm() const { return gcm_; }

  Sealed evp_seals(const Buffer& nonce, const Buffer& associated, Buffer text) {
    Sealed out{std::move(text)};
    REQUIRE(sealer_->seal(fixed(nonce), associated, out.text, tag_of(out.tag)));
    return out;
  }
  bool evp_opens(const Buffer& nonce, const Buffer& associated, Sealed& sealed) {
    return opener_->open(fixed(nonce), associated, sealed.text, tag_of(std::as_const(sealed.tag))).has_value();
  }

  // Both seal the same, out of place and in place, and each opens what the other has sealed.
  void agree(const Buffer& nonce, const Buffer& associated, const Buffer& text) {
    const Sealed wanted = evp_seals(nonce, associated, text);
    Sealed got{Buffer(text.size())};
    REQUIRE(gcm_.seal(nonce_of(nonce), associated, text, got.text, tag_of(got.tag)));
    REQUIRE(got.text == wanted.text);
    REQUIRE(got.tag == wanted.tag);
    Sealed in_place{text};
    REQUIRE(gcm_.seal(nonce_of(nonce), associated, in_place.text, in_place.text, tag_of(in_place.tag)));
    REQUIRE(in_place.text == wanted.text);
    REQUIRE(in_place.tag == wanted.tag);
    Buffer opened(text.size());
    REQUIRE(gcm_.open(nonce_of(nonce), associated, wanted.text, opened, tag_of(wanted.tag)));
    REQUIRE(opened == text);
    REQUIRE(gcm_.open(nonce_of(nonce), associated, in_place.text, in_place.text, tag_of(wanted.tag)));
    REQUIRE(in_place.text == text);
    REQUIRE(evp_opens(nonce, associated, got));
    REQUIRE(got.text == text);
  }

 private:
  static AeadNonce fixed(const Buffer& nonce) {
    AeadNonce out{};
    std::copy_n(nonce.begin(), out.size(), out.begin());
    return out;
  }
  static std::unique_ptr<EvpAead> evp(AeadUse use, const Buffer& key) {
    auto made = EvpAead::create(use, key.size() == 16 ? "AES-128-GCM" : "AES-256-GCM");
    REQUIRE(made);
    REQUIRE((*made)->set_key({reinterpret_cast<const char*>(key.data()), key.size()}));
    return std::move(*made);
  }

  AesGcm gcm_;
  std::unique_ptr<EvpAead> sealer_, opener_;
};

}  // namespace vmsec::migration::test
