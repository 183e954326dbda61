#include "soft_key.hpp"

#include <openssl/core_names.h>

#include <catch2/catch.hpp>

#include "evidence/bytes.hpp"
#include "evidence/tpm_constants.hpp"

namespace vmsec::boot::test {
namespace {

std::string number(EVP_PKEY* key, const char* name, int size) {
  BIGNUM* value = nullptr;
  REQUIRE(EVP_PKEY_get_bn_param(key, name, &value) == 1);
  const BignumPtr owned(value);
  std::string out(static_cast<std::size_t>(size), '\0');
  REQUIRE(BN_bn2binpad(value, octets(out), size) == size);
  return out;
}

}  // namespace

std::string attest_bytes(const QuoteParts& parts) {
  return big_endian(parts.magic) + big_endian(parts.type) + sized(parts.signer) + sized(parts.qualifying_data) +
         big_endian(parts.clock) + big_endian(parts.resets) + big_endian(parts.restarts) +
         static_cast<char>(parts.safe) + big_endian(parts.firmware) + big_endian(parts.banks) + big_endian(parts.bank) +
         static_cast<char>(parts.selection.size()) + parts.selection + sized(parts.pcr_digest);
}

SoftKey::SoftKey(Type type, std::uint32_t attributes)
    : key_(type == Type::rsa ? EVP_RSA_gen(2048) : EVP_EC_gen(type == Type::p256 ? "P-256" : "P-384")) {
  REQUIRE(key_);
  const bool ecc = type != Type::rsa;
  const std::uint16_t hash = type == Type::p384 ? kAlgSha384 : kAlgSha256;
  std::string bytes = big_endian(static_cast<std::uint16_t>(ecc ? KeyType::ecc : KeyType::rsa)) +
                      big_endian(kAlgSha256) + big_endian(attributes) + sized("") + big_endian(kAlgNull) +
                      big_endian(ecc ? kAlgEcdsa : kAlgRsassa) + big_endian(hash);
  const int size = type == Type::p384 ? 48 : 32;
  if (ecc)
    bytes += big_endian(type == Type::p384 ? kCurveP384 : kCurveP256) + big_endian(kAlgNull) +
             sized(number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X, size)) +
             sized(number(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, size));
  else
    bytes += big_endian(std::uint16_t{2048}) + big_endian(std::uint32_t{0}) +
             sized(number(key_.get(), OSSL_PKEY_PARAM_RSA_N, 256));
  auto parsed = parse_public(bytes, "test key");
  REQUIRE(parsed);
  area_ = *parsed;
}

std::string SoftKey::padded(const BIGNUM* value) const {
  const auto size = static_cast<int>(area_.curve->bytes);
  std::string out(area_.curve->bytes, '\0');
  REQUIRE(BN_bn2binpad(value, octets(out), size) == size);
  return out;
}

std::string SoftKey::sign(std::string_view bytes) const {
  const MdContextPtr context(EVP_MD_CTX_new());
  std::string out(512, '\0');
  std::size_t size = out.size();
  REQUIRE(EVP_DigestSignInit(context.get(), nullptr, message_digest(area_.hash()), nullptr, key_.get()) == 1);
  REQUIRE(EVP_DigestSign(context.get(), octets(out), &size, octets(bytes), bytes.size()) == 1);
  out.resize(size);
  const std::string head = big_endian(area_.scheme) + big_endian(area_.scheme_hash);
  if (area_.type == KeyType::rsa) return head + sized(out);
  const unsigned char* at = octets(std::string_view(out));
  const EcdsaSignaturePtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(out.size())));
  REQUIRE(signature);
  return head + sized(padded(ECDSA_SIG_get0_r(signature.get()))) + sized(padded(ECDSA_SIG_get0_s(signature.get())));
}

}  // namespace vmsec::boot::test
