#include "record.hpp"

#include <openssl/crypto.h>

#include <array>

namespace vmsec::migration {
namespace {

std::unexpected<Error> bad_record(std::string_view cause) {
  return fail(Code::tampered, "open a record: " + std::string(cause));
}

template <std::size_t kSize>
void put_big_endian(std::uint64_t number, unsigned char* out) {
  for (std::size_t i = 0; i < kSize; ++i) out[i] = static_cast<unsigned char>(number >> (8 * (kSize - 1 - i)));
}

template <std::size_t kSize>
std::uint64_t get_big_endian(const unsigned char* in) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kSize; ++i) number = (number << 8) | in[i];
  return number;
}

// "none" is AES-256-GCM whose whole record is associated data: a GMAC.
const char* algorithm_name(Cipher cipher) {
  switch (cipher) {
    case Cipher::aes_128_gcm:
      return "AES-128-GCM";
    case Cipher::aes_256_gcm:
    case Cipher::none:
      return "AES-256-GCM";
    case Cipher::chacha20_poly1305:
      return "ChaCha20-Poly1305";
    case Cipher::policy:
      break;
  }
  return nullptr;
}

}  // namespace

void write_header(const RecordHeader& header, HeaderBytes out) {
  put_big_endian<4>(header.length, out.data());
  out[4] = static_cast<unsigned char>(header.type);
  out[5] = out[6] = out[7] = 0;
  put_big_endian<8>(header.sequence, out.data() + 8);
}

Result<RecordHeader> read_header(std::span<const unsigned char, kHeaderSize> bytes) {
  RecordHeader header;
  header.length = static_cast<std::uint32_t>(get_big_endian<4>(bytes.data()));
  header.type = static_cast<RecordType>(bytes[4]);
  header.sequence = get_big_endian<8>(bytes.data() + 8);
  if (bytes[5] != 0 || bytes[6] != 0 || bytes[7] != 0) return bad_record("its header's padding is not zero");
  if (header.length > kMaximumPayload)
    return bad_record("it claims " + std::to_string(header.length) + " bytes: the limit is " +
                      std::to_string(kMaximumPayload));
  switch (header.type) {
    case RecordType::data:
      if (header.length == 0) return bad_record("a data record without data");
      return header;
    case RecordType::end:
    case RecordType::mark:
      if (header.length != 0) return bad_record("an end or a mark with a payload");
      return header;
  }
  return bad_record("unknown type " + std::to_string(bytes[4]));
}

bool is_stream_cipher(Cipher cipher) { return algorithm_name(cipher) != nullptr; }

std::string implementation_of(Cipher cipher) {
  const std::string library = " by OpenSSL " + std::string(OpenSSL_version(OPENSSL_VERSION_STRING)) + " EVP";
  if (!is_stream_cipher(cipher)) return "unknown";
  if (cipher == Cipher::none) return "none (authenticated: AES-256-GMAC" + library + ")";
  return algorithm_name(cipher) + library;
}

Result<Transcript> Transcript::create() {
  Transcript transcript;
  transcript.context_.reset(EVP_MD_CTX_new());
  if (!transcript.context_ || EVP_DigestInit_ex(transcript.context_.get(), EVP_sha256(), nullptr) != 1)
    return fail(openssl_error("begin a transcript"));
  return transcript;
}

Status Transcript::add(std::span<const unsigned char> tag) {
  if (EVP_DigestUpdate(context_.get(), tag.data(), tag.size()) != 1) return fail(openssl_error("extend a transcript"));
  return {};
}

Result<std::string> Transcript::digest() const {
  DigestContext copy(EVP_MD_CTX_new());
  std::string out(kDigestSize, '\0');
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), context_.get()) != 1 ||
      EVP_DigestFinal_ex(copy.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1)
    return fail(openssl_error("finish a transcript"));
  return out;
}

Result<RecordCodec> RecordCodec::create(Use use, Cipher cipher, std::string secret, std::uint64_t records_per_key) {
  const char* name = algorithm_name(cipher);
  if (name == nullptr)
    return fail(Code::invalid_argument, "seal a stream with cipher " + std::string(to_string(cipher)) + ": no cipher");
  VMSEC_TRY(Transcript transcript, Transcript::create());
  RecordCodec codec(use, cipher, records_per_key, std::move(transcript));
  codec.secret_ = std::move(secret);
  codec.algorithm_.reset(EVP_CIPHER_fetch(nullptr, name, nullptr));
  codec.context_.reset(EVP_CIPHER_CTX_new());
  if (!codec.algorithm_ || !codec.context_) return fail(openssl_error("fetch " + std::string(name)));
  VMSEC_CHECK(codec.next_epoch());
  return codec;
}

RecordCodec::~RecordCodec() {
  wipe(secret_);
  wipe(keys_.key);
  wipe(keys_.next_secret);
}

Status RecordCodec::next_epoch() {
  const auto key_size = static_cast<std::size_t>(EVP_CIPHER_get_key_length(algorithm_.get()));
  VMSEC_TRY(EpochKeys keys, epoch_keys(secret_, key_size));
  wipe(keys_.key);
  keys_ = std::move(keys);
  wipe(secret_);
  secret_ = std::move(keys_.next_secret);
  if (EVP_CipherInit_ex2(context_.get(), algorithm_.get(), bytes_of(keys_.key), nullptr, use_ == Use::seal ? 1 : 0,
                         nullptr) != 1)
    return fail(openssl_error("set a record key"));
  return {};
}

Status RecordCodec::run(std::span<unsigned char> buffer) {
  std::array<unsigned char, 12> nonce = keys_.nonce;
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] ^= static_cast<unsigned char>(sequence_ >> (8 * (7 - i)));
  if (EVP_CipherInit_ex2(context_.get(), nullptr, nullptr, nonce.data(), use_ == Use::seal ? 1 : 0, nullptr) != 1)
    return fail(openssl_error("begin a record"));
  const auto payload = buffer.subspan(kHeaderSize, buffer.size() - kHeaderSize - kTagSize);
  const bool clear = cipher_ == Cipher::none;
  int count = 0;
  const auto clear_size = static_cast<int>(clear ? kHeaderSize + payload.size() : kHeaderSize);
  if (EVP_CipherUpdate(context_.get(), nullptr, &count, buffer.data(), clear_size) != 1)
    return fail(openssl_error("authenticate a record"));
  if (clear || payload.empty()) return {};
  if (EVP_CipherUpdate(context_.get(), payload.data(), &count, payload.data(), static_cast<int>(payload.size())) != 1)
    return fail(openssl_error("transform a record"));
  return {};
}

Status RecordCodec::finish(std::span<unsigned char> tag) {
  int count = 0;
  unsigned char none[kTagSize];
  auto* context = context_.get();
  if (use_ == Use::seal) {
    if (EVP_CipherFinal_ex(context, none, &count) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagSize, tag.data()) != 1)
      return fail(openssl_error("finish a record"));
  } else {
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) != 1)
      return fail(openssl_error("set a record's tag"));
    if (EVP_CipherFinal_ex(context, none, &count) != 1) {
      ERR_clear_error();
      return bad_record("its tag does not verify");
    }
  }
  VMSEC_CHECK(transcript_.add(tag));
  ++sequence_;
  if (sequence_ % records_per_key_ == 0) return next_epoch();
  return {};
}

Status RecordCodec::seal(RecordType type, std::span<unsigned char> buffer) {
  if (buffer.size() < kHeaderSize + kTagSize || buffer.size() > kHeaderSize + kMaximumPayload + kTagSize)
    return fail(Code::internal, "seal a record of " + std::to_string(buffer.size()) + " bytes: out of bounds");
  if (broken_ || sequence_ >= kMaximumSequence)
    return fail(Code::limit_exceeded, "seal a record: the stream has used up its records");
  const auto length = static_cast<std::uint32_t>(buffer.size() - kHeaderSize - kTagSize);
  write_header({length, type, sequence_}, buffer.first<kHeaderSize>());
  Status sealed = run(buffer);
  if (sealed) sealed = finish(buffer.last(kTagSize));
  broken_ = !sealed;
  return sealed;
}

Status RecordCodec::open(const RecordHeader& header, std::span<unsigned char> buffer) {
  if (broken_) return bad_record("the stream is broken already");
  broken_ = true;  // until this record has proven good
  if (buffer.size() != kHeaderSize + header.length + kTagSize) return bad_record("its length does not fit");
  if (header.sequence != sequence_)
    return bad_record("it has sequence " + std::to_string(header.sequence) + ", wanted " + std::to_string(sequence_));
  if (sequence_ >= kMaximumSequence) return bad_record("the stream has used up its records");
  VMSEC_CHECK(run(buffer));
  VMSEC_CHECK(finish(buffer.last(kTagSize)));
  broken_ = false;
  return {};
}

}  // namespace vmsec::migration
