#include "quote.hpp"

#include "bytes.hpp"
#include "digest.hpp"
#include "openssl_handles.hpp"
#include "tpm_constants.hpp"

namespace vmsec::boot {
namespace {

std::unexpected<Error> bad(std::string_view what, const ByteReader& reader, const std::string& cause) {
  return fail(Code::invalid_argument, std::string(what) + ", byte " + std::to_string(reader.offset()) + ": " + cause);
}

Status read_selection(ByteReader& reader, Quote& quote) {
  const auto count = reader.big<std::uint32_t>();
  if (!count) return bad("quote", reader, "it ends before its PCR selection");
  if (*count != 1) return bad("quote", reader, "it is over " + std::to_string(*count) + " PCR banks, want 1");
  const auto hash = reader.big<std::uint16_t>();
  const auto size = reader.big<std::uint8_t>();
  const auto bits = size ? reader.take(*size) : std::nullopt;
  if (!hash || !bits) return bad("quote", reader, "it ends within its PCR selection");
  quote.bank = Hash{*hash};
  if (bits->size() != kPcrCount / 8)
    return bad("quote", reader, "a PCR selection of " + std::to_string(bits->size()) + " bytes, want 3");
  for (std::uint32_t i = 0; i < kPcrCount / 8; ++i)
    quote.pcrs.bits |= static_cast<std::uint32_t>(static_cast<std::uint8_t>((*bits)[i])) << (8 * i);
  return {};
}

Status read_clock(ByteReader& reader, Quote& quote) {
  const auto clock = reader.big<std::uint64_t>();
  const auto resets = reader.big<std::uint32_t>();
  const auto restarts = reader.big<std::uint32_t>();
  const auto safe = reader.big<std::uint8_t>();
  const auto firmware = reader.big<std::uint64_t>();
  if (!clock || !resets || !restarts || !safe || !firmware) return bad("quote", reader, "it ends within its clock");
  if (*safe > 1) return bad("quote", reader, "its clock's safe flag is " + std::to_string(*safe));
  quote.clock = *clock;
  quote.reset_count = *resets;
  quote.restart_count = *restarts;
  quote.safe = *safe == 1;
  quote.firmware_version = *firmware;
  return {};
}

// OpenSSL takes an ECDSA signature in DER.
Result<std::string> ecdsa_der(std::string_view r, std::string_view s) {
  const EcdsaSignaturePtr signature(ECDSA_SIG_new());
  BignumPtr r_number(BN_bin2bn(octets(r), static_cast<int>(r.size()), nullptr));
  BignumPtr s_number(BN_bin2bn(octets(s), static_cast<int>(s.size()), nullptr));
  if (!signature || !r_number || !s_number || ECDSA_SIG_set0(signature.get(), r_number.get(), s_number.get()) != 1)
    return fail(openssl_error("read an ECDSA signature"));
  static_cast<void>(r_number.release());  // the signature owns them now
  static_cast<void>(s_number.release());
  const int size = i2d_ECDSA_SIG(signature.get(), nullptr);
  if (size <= 0) return fail(openssl_error("read an ECDSA signature"));
  std::string der(static_cast<std::size_t>(size), '\0');
  unsigned char* out = octets(der);
  i2d_ECDSA_SIG(signature.get(), &out);
  return der;
}

// The signature's own bytes, as OpenSSL takes them.
Result<std::string> read_signature(const TpmPublic& key, std::string_view bytes) {
  ByteReader reader(bytes);
  const auto scheme = reader.big<std::uint16_t>();
  const auto hash = reader.big<std::uint16_t>();
  if (!scheme || !hash) return bad("the quote's signature", reader, "it ends too early");
  if (*scheme != key.scheme) return bad("the quote's signature", reader, "it is not by the key's scheme");
  if (*hash != key.scheme_hash)
    return bad("the quote's signature", reader,
               "it is by " + to_string(Hash{*hash}) + ", the key's scheme has " + to_string(key.hash()));
  const auto first = reader.sized();
  const bool ecc = key.type == KeyType::ecc;
  const auto second = ecc ? reader.sized() : std::string_view();
  if (!first || !second) return bad("the quote's signature", reader, "it ends too early");
  if (reader.left() != 0) return bad("the quote's signature", reader, "bytes are left over");
  if (!ecc) return std::string(*first);
  const std::size_t longest = key.curve->bytes;
  if (first->size() > longest || second->size() > longest)
    return bad("the quote's signature", reader, "its numbers are longer than " + std::to_string(longest) + " bytes");
  return ecdsa_der(*first, *second);
}

}  // namespace

std::string to_string(PcrMask mask) {
  std::string out;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
    if (mask.has(pcr)) out += (out.empty() ? "" : ",") + std::to_string(pcr);
  return out.empty() ? "none" : out;
}

Result<Quote> parse_quote(std::string_view attest) {
  ByteReader reader(attest);
  Quote quote;
  const auto magic = reader.big<std::uint32_t>();
  const auto type = reader.big<std::uint16_t>();
  if (!magic || !type) return bad("quote", reader, "it ends before its type");
  quote.magic = *magic;
  quote.type = *type;
  if (*magic != kGeneratedMagic) return bad("quote", reader, "it was not made by a TPM (wrong magic number)");
  if (*type != kAttestQuote)
    return bad("quote", reader, "it attests something else (type 0x" + to_hex(big_endian(*type)) + ")");
  const auto signer = reader.sized();
  const auto qualifying = signer ? reader.sized() : std::nullopt;
  if (!qualifying) return bad("quote", reader, "it ends before its qualifying data");
  quote.qualified_signer = *signer;
  quote.qualifying_data = *qualifying;
  VMSEC_CHECK(read_clock(reader, quote));
  VMSEC_CHECK(read_selection(reader, quote));
  const auto pcrs = reader.sized();
  if (!pcrs) return bad("quote", reader, "it ends before the PCRs' digest");
  if (pcrs->size() > kMaxDigestBytes)
    return bad("quote", reader,
               "the PCRs' digest has " + std::to_string(pcrs->size()) + " bytes, want at most " +
                   std::to_string(kMaxDigestBytes));
  quote.pcr_digest = *pcrs;
  if (reader.left() != 0) return bad("quote", reader, std::to_string(reader.left()) + " bytes are left over");
  return quote;
}

Status verify_signature(const TpmPublic& key, std::string_view attest, std::string_view signature) {
  if (message_digest(key.hash()) == nullptr)
    return fail(Code::unsupported, "verify the quote's signature: no " + to_string(key.hash()) + " here");
  VMSEC_TRY(const auto bytes, read_signature(key, signature));
  VMSEC_TRY(const auto pkey, key.key());
  const MdContextPtr context(EVP_MD_CTX_new());
  if (!context || EVP_DigestVerifyInit(context.get(), nullptr, message_digest(key.hash()), nullptr, pkey.get()) != 1)
    return fail(openssl_error("verify the quote's signature"));
  if (EVP_DigestVerify(context.get(), octets(bytes), bytes.size(), octets(attest), attest.size()) == 1) return {};
  return fail(openssl_error("the quote's signature is not the attestation key's over these bytes", Code::tampered));
}

Result<Quote> verify_quote(const TpmPublic& key, std::string_view attest, std::string_view signature,
                           const QuoteDemand& demand) {
  VMSEC_TRY(auto quote, parse_quote(attest));
  VMSEC_CHECK(verify_signature(key, attest, signature));
  quote.digest_hash = key.hash();
  if (const auto size = digest_size(quote.digest_hash); quote.pcr_digest.size() != size)
    return fail(Code::untrusted, "the PCRs' digest has " + std::to_string(quote.pcr_digest.size()) + " bytes, by " +
                                     to_string(quote.digest_hash) + " it has " + std::to_string(size.value_or(0)));
  if (!equal(quote.qualifying_data, demand.qualifying_data))
    return fail(Code::untrusted, "the quote is not for this nonce, this connection and this host");
  if (quote.bank != demand.bank)
    return fail(Code::untrusted,
                "the quote is over the bank " + to_string(quote.bank) + ", asked was " + to_string(demand.bank));
  if (quote.pcrs != demand.pcrs)
    return fail(Code::untrusted,
                "the quote is over PCRs " + to_string(quote.pcrs) + ", asked were " + to_string(demand.pcrs));
  return quote;
}

Result<std::string> pcr_digest(const PcrValues& values, PcrMask pcrs, Hash hash) {
  std::string all;
  for (std::uint32_t pcr = 0; pcr < kPcrCount; ++pcr)
    if (pcrs.has(pcr)) all += values[pcr];
  return digest(hash, {all});
}

}  // namespace vmsec::boot
