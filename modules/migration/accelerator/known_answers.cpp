#include "known_answers.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "../evp_aead.hpp"
#include "aes_gcm.hpp"

namespace vmsec::migration {
namespace {

using Buffer = std::vector<unsigned char>;

constexpr std::string_view kZeros128 = "00000000000000000000000000000000";
constexpr std::string_view kZeros256 = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr std::string_view kZeroNonce = "000000000000000000000000";
constexpr std::string_view kKey128 = "feffe9928665731c6d6a8f9467308308";
constexpr std::string_view kKey256 = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
constexpr std::string_view kNonce = "cafebabefacedbaddecaf888";
constexpr std::string_view kAssociated = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
constexpr std::string_view kText =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
constexpr std::string_view kSealed128 =
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
    "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091473f5985";
constexpr std::string_view kSealed256 =
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
    "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
constexpr std::size_t kShort = 120;  // digits: 60 bytes

constexpr KnownAnswer kAnswers[] = {
    {kZeros128, kZeroNonce, "", "", "", "58e2fccefa7e3061367f1d57a4e7455a"},
    {kZeros128, kZeroNonce, "", kZeros128, "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"},
    {kKey128, kNonce, "", kText, kSealed128, "4d5c2af327cd64a62cf35abd2ba6fab4"},
    {kKey128, kNonce, kAssociated, kText.substr(0, kShort), kSealed128.substr(0, kShort),
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {kZeros256, kZeroNonce, "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {kZeros256, kZeroNonce, "", kZeros128, "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {kKey256, kNonce, "", kText, kSealed256, "b094dac5d93471bdec1a502270e3cc6c"},
    {kKey256, kNonce, kAssociated, kText.substr(0, kShort), kSealed256.substr(0, kShort),
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

// Around one, two and several groups of either width, and a counter that carries.
constexpr std::size_t kLengths[] = {1,   15,  16,  17,  31,   63,   65,   127,  128,  129,  255,   256,  257,
                                    383, 511, 512, 513, 1023, 1025, 1537, 2049, 4095, 4113, 16385, 70001};

unsigned char digit(char character) {
  return static_cast<unsigned char>(character <= '9' ? character - '0' : character - 'a' + 10);
}

Buffer bytes_of_hex(std::string_view hex) {
  Buffer out(hex.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<unsigned char>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  return out;
}

Buffer pattern(std::size_t size, std::size_t seed) {
  Buffer out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<unsigned char>((i * 167 + seed * 31) ^ (i >> 7));
  return out;
}

std::unexpected<Error> differs(const GcmKernel& kernel, const std::string& where) {
  return fail(Code::internal, std::string(kernel.name) + " fails its known-answer test: " + where);
}

struct Case {
  Buffer key, nonce, associated, text, sealed, tag;
};

// Sealed as wanted, opened to the text again, and not opened with another tag: in place, as records are.
Status check(const GcmKernel& kernel, const Case& wanted, const std::string& where) {
  VMSEC_TRY(const AesGcm gcm, AesGcm::create(kernel, wanted.key));
  const auto nonce = std::span<const unsigned char>(wanted.nonce).first<kGcmNonce>();
  Buffer out = wanted.text, tag(kGcmBlock);
  VMSEC_CHECK(gcm.seal(nonce, wanted.associated, out, out, std::span<unsigned char>(tag).first<kGcmBlock>()));
  if (out != wanted.sealed) return differs(kernel, where + ": another ciphertext");
  if (tag != wanted.tag) return differs(kernel, where + ": another tag");
  const auto fixed_tag = std::span<const unsigned char>(tag).first<kGcmBlock>();
  if (!gcm.open(nonce, wanted.associated, out, out, fixed_tag) || out != wanted.text)
    return differs(kernel, where + ": it does not open again");
  tag.back() ^= 1;
  out = wanted.sealed;
  if (gcm.open(nonce, wanted.associated, out, out, fixed_tag)) return differs(kernel, where + ": a false tag opens");
  return {};
}

struct Lengths {
  std::size_t text;
  std::size_t associated;
};

// With cipher "none" a record is associated data and nothing else: that is hashed by code of its own.
constexpr Lengths kMuchAssociated[] = {{0, 16}, {0, 257}, {0, 528}, {0, 1041}, {0, 70001}, {33, 1041}, {600, 513}};

Status check_against_evp(const GcmKernel& kernel, std::size_t key_size, const Lengths& lengths, std::size_t seed) {
  Case wanted{pattern(key_size, seed + 1),     pattern(kGcmNonce, seed + 2),    pattern(lengths.associated, seed + 3),
              pattern(lengths.text, seed + 4), pattern(lengths.text, seed + 4), Buffer(kGcmBlock)};
  VMSEC_TRY(const auto evp, EvpAead::create(AeadUse::seal, key_size == 16 ? "AES-128-GCM" : "AES-256-GCM"));
  VMSEC_CHECK(evp->set_key({reinterpret_cast<const char*>(wanted.key.data()), key_size}));
  AeadNonce nonce{};
  std::copy(wanted.nonce.begin(), wanted.nonce.end(), nonce.begin());
  VMSEC_CHECK(evp->seal(nonce, wanted.associated, wanted.sealed, std::span<unsigned char>(wanted.tag).first<16>()));
  return check(kernel, wanted,
               std::to_string(lengths.text) + " bytes and " + std::to_string(lengths.associated) +
                   " associated ones, a key of " + std::to_string(key_size));
}

}  // namespace

std::span<const KnownAnswer> gcm_known_answers() { return kAnswers; }

Status test_kernel(const GcmKernel& kernel, std::span<const KnownAnswer> answers) {
  int number = 0;
  for (const KnownAnswer& answer : answers)
    VMSEC_CHECK(check(kernel,
                      {bytes_of_hex(answer.key), bytes_of_hex(answer.nonce), bytes_of_hex(answer.associated),
                       bytes_of_hex(answer.text), bytes_of_hex(answer.sealed), bytes_of_hex(answer.tag)},
                      "vector " + std::to_string(++number)));
  std::size_t seed = 0;
  for (const std::size_t key_size : {std::size_t{16}, std::size_t{32}}) {
    for (const std::size_t length : kLengths) {
      ++seed;
      VMSEC_CHECK(check_against_evp(kernel, key_size, {length, seed % 49}, seed));
    }
    for (const Lengths& lengths : kMuchAssociated) VMSEC_CHECK(check_against_evp(kernel, key_size, lengths, ++seed));
  }
  return {};
}

}  // namespace vmsec::migration
