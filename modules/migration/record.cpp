#include "record.hpp"

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

Result<RecordCodec> RecordCodec::create(Use use, Suite suite, std::string secret, std::uint64_t records_per_key) {
  VMSEC_TRY(auto aead, make_aead(use, suite));
  VMSEC_TRY(Transcript transcript, Transcript::create());
  RecordCodec codec(suite.cipher, records_per_key, std::move(transcript), std::move(aead));
  codec.secret_ = std::move(secret);
  VMSEC_CHECK(codec.next_epoch());
  return codec;
}

RecordCodec::~RecordCodec() {
  wipe(secret_);
  wipe(keys_.key);
  wipe(keys_.next_secret);
}

Status RecordCodec::next_epoch() {
  VMSEC_TRY(EpochKeys keys, epoch_keys(secret_, aead_->key_size()));
  wipe(keys_.key);
  keys_ = std::move(keys);
  wipe(secret_);
  secret_ = std::move(keys_.next_secret);
  return aead_->set_key(keys_.key);
}

RecordCodec::Parts RecordCodec::parts_of(std::span<unsigned char> buffer) const {
  const bool clear = cipher_ == Cipher::none;
  const std::size_t associated = clear ? buffer.size() - kTagSize : kHeaderSize;
  return {buffer.first(associated), buffer.subspan(associated, buffer.size() - associated - kTagSize),
          buffer.last<kTagSize>()};
}

AeadNonce RecordCodec::nonce() const {
  AeadNonce nonce = keys_.nonce;
  for (std::size_t i = 0; i < 8; ++i) nonce[4 + i] ^= static_cast<unsigned char>(sequence_ >> (8 * (7 - i)));
  return nonce;
}

Status RecordCodec::advance(std::span<const unsigned char> tag) {
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
  broken_ = true;  // until it is whole: no second record by this nonce
  const Parts parts = parts_of(buffer);
  Status sealed = aead_->seal(nonce(), parts.associated, parts.text, parts.tag);
  if (sealed) sealed = advance(parts.tag);
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
  const Parts parts = parts_of(buffer);
  if (Status opened = aead_->open(nonce(), parts.associated, parts.text, parts.tag); !opened) {
    OPENSSL_cleanse(buffer.data() + kHeaderSize, header.length);  // with "none" the AEAD leaves what it read
    return fail(opened.error().in("open a record"));
  }
  VMSEC_CHECK(advance(parts.tag));
  broken_ = false;
  return {};
}

}  // namespace vmsec::migration
