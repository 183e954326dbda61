#include "tpm_public.hpp"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <unordered_set>

#include "bytes.hpp"
#include "digest.hpp"
#include "tpm_constants.hpp"

namespace vmsec::boot {
namespace {

Result<std::string> digest_of_key(const TpmPublic& key) {
  // Numbers: zeros before them are none of theirs.
  const auto number = [](std::string_view bytes) {
    return bytes.substr(std::min(bytes.find_first_not_of('\0'), bytes.size()));
  };
  return sha256_of_list({key.type == KeyType::ecc ? "ecc" : "rsa", number(key.x), number(key.y), number(key.modulus)});
}

using ParamBuilderPtr = std::unique_ptr<OSSL_PARAM_BLD, Free<OSSL_PARAM_BLD_free>>;
using ParamsPtr = std::unique_ptr<OSSL_PARAM, Free<OSSL_PARAM_free>>;

constexpr std::array<Curve, 2> kCurves{{{kCurveP256, 32, "prime256v1"}, {kCurveP384, 48, "secp384r1"}}};

// Reads a public area field by field; stops at the first thing that is wrong.
class PublicParser {
 public:
  PublicParser(std::string_view bytes, std::string_view what) : reader_(bytes), what_(what) { public_.bytes = bytes; }

  Result<TpmPublic> parse() {
    VMSEC_CHECK(common());
    VMSEC_CHECK(symmetric());
    VMSEC_CHECK(scheme());
    VMSEC_CHECK(public_.type == KeyType::ecc ? ecc() : rsa());
    if (reader_.left() != 0) return bad(std::to_string(reader_.left()) + " bytes are left over");
    VMSEC_TRY(public_.name_digest, digest(public_.name_hash, {public_.bytes}));
    VMSEC_TRY(public_.key_digest, digest_of_key(public_));
    return std::move(public_);
  }

 private:
  [[nodiscard]] std::unexpected<Error> bad(const std::string& cause) const {
    return fail(Code::invalid_argument,
                "public area of the " + what_ + ", byte " + std::to_string(reader_.offset()) + ": " + cause);
  }
  [[nodiscard]] std::unexpected<Error> ends() const { return bad("it ends too early"); }

  Status common() {
    const auto type = reader_.big<std::uint16_t>();
    const auto name_hash = reader_.big<std::uint16_t>();
    const auto attributes = reader_.big<std::uint32_t>();
    const auto policy = reader_.sized();
    if (!type || !name_hash || !attributes || !policy) return ends();
    if (*type != static_cast<std::uint16_t>(KeyType::rsa) && *type != static_cast<std::uint16_t>(KeyType::ecc))
      return bad("neither an RSA nor an ECC key");
    if (*name_hash != kAlgSha256 && *name_hash != kAlgSha384)
      return bad("its name algorithm is neither SHA-256 nor SHA-384");
    public_.name_hash = Hash{*name_hash};
    public_.type = KeyType{*type};
    public_.attributes = *attributes;
    public_.auth_policy = *policy;
    return {};
  }

  Status symmetric() {
    const auto algorithm = reader_.big<std::uint16_t>();
    if (!algorithm) return ends();
    public_.symmetric = *algorithm;
    if (*algorithm == kAlgNull) return {};
    const auto bits = reader_.big<std::uint16_t>();
    const auto mode = reader_.big<std::uint16_t>();
    if (!bits || !mode) return ends();
    if (*algorithm != kAlgAes || *mode != kAlgCfb) return bad("its symmetric cipher is not AES in CFB mode");
    public_.symmetric_bits = *bits;
    return {};
  }

  Status scheme() {
    const auto scheme = reader_.big<std::uint16_t>();
    if (!scheme) return ends();
    public_.scheme = *scheme;
    if (*scheme == kAlgNull) return {};
    if (*scheme != kAlgEcdsa && *scheme != kAlgRsassa) return bad("its scheme is neither ECDSA nor RSASSA");
    const auto hash = reader_.big<std::uint16_t>();
    if (!hash) return ends();
    public_.scheme_hash = *hash;
    return {};
  }

  Status ecc() {
    const auto curve = reader_.big<std::uint16_t>();
    const auto kdf = reader_.big<std::uint16_t>();
    if (!curve || !kdf) return ends();
    const auto* const known = std::ranges::find(kCurves, *curve, &Curve::number);
    if (known == kCurves.end()) return bad("its curve is neither NIST P-256 nor P-384");
    if (*kdf != kAlgNull) return bad("it has a key derivation scheme of its own");
    const auto x = reader_.sized();
    const auto y = x ? reader_.sized() : std::nullopt;
    if (!y) return ends();
    if (x->empty() || x->size() > known->bytes || y->empty() || y->size() > known->bytes)
      return bad("its point is not of " + std::to_string(known->bytes) + " byte coordinates");
    public_.curve = known;
    public_.x = *x;
    public_.y = *y;
    return {};
  }

  Status rsa() {
    const auto bits = reader_.big<std::uint16_t>();
    const auto exponent = reader_.big<std::uint32_t>();
    const auto modulus = exponent ? reader_.sized() : std::nullopt;
    if (!bits || !modulus) return ends();
    if (*bits < 2048 || *bits > 4096 || *bits % 8 != 0 || modulus->size() != *bits / 8U)
      return bad("an RSA key of " + std::to_string(*bits) + " bits with a modulus of " +
                 std::to_string(modulus->size()) + " bytes");
    if (*exponent != 0 && *exponent != kRsaExponent) return bad("an RSA exponent that is not 65537");
    public_.modulus = *modulus;
    public_.exponent = kRsaExponent;
    return {};
  }

  ByteReader reader_;
  std::string what_;
  TpmPublic public_;
};

// Moduli that were found valid. To find it out takes milliseconds, and an enrolled host's key comes with each of its
// quotes. By their SHA-256; any thread.
class ValidModuli {
 public:
  bool contains(const std::string& digest) {
    const std::lock_guard lock(mutex_);
    return digests_.contains(digest);
  }
  void add(std::string digest) {
    const std::lock_guard lock(mutex_);
    if (digests_.size() >= kMost) digests_.clear();
    digests_.insert(std::move(digest));
  }

 private:
  static constexpr std::size_t kMost = 16384;
  std::mutex mutex_;
  std::unordered_set<std::string> digests_;
};

// `modulus`: of an RSA key.
Result<PkeyPtr> key_of(const char* type, OSSL_PARAM_BLD* builder, std::string_view modulus = {}) {
  const ParamsPtr parameters(OSSL_PARAM_BLD_to_param(builder));
  const PkeyContextPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return fail(openssl_error("read a TPM's public key", Code::invalid_argument));
  PkeyPtr owned(key);
  static ValidModuli valid;
  VMSEC_TRY(auto digest, sha256({modulus}));
  if (!modulus.empty() && valid.contains(digest)) return owned;
  const PkeyContextPtr checker(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  // "Quick": that the point is on the curve. The curves' cofactor is 1, so it is of the right order then.
  if (!checker || EVP_PKEY_public_check_quick(checker.get()) != 1)
    return fail(openssl_error("read a TPM's public key: it is no valid key", Code::invalid_argument));
  if (!modulus.empty()) valid.add(std::move(digest));
  return owned;
}

Status need(bool holds, std::string_view key, std::string_view what) {
  if (holds) return {};
  return fail(Code::untrusted, "the " + std::string(key) + " " + std::string(what));
}

}  // namespace

std::string TpmPublic::name() const { return big_endian(static_cast<std::uint16_t>(name_hash)) + name_digest; }

Result<PkeyPtr> TpmPublic::key() const {
  const ParamBuilderPtr builder(OSSL_PARAM_BLD_new());
  if (!builder) return fail(openssl_error("read a TPM's public key"));
  if (type == KeyType::ecc) {
    const std::string point =
        '\x04' + std::string(curve->bytes - x.size(), '\0') + x + std::string(curve->bytes - y.size(), '\0') + y;
    if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->name, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
      return fail(openssl_error("read a TPM's public key"));
    return key_of("EC", builder.get());
  }
  const BignumPtr n(BN_bin2bn(octets(modulus), static_cast<int>(modulus.size()), nullptr));
  const BignumPtr e(BN_new());
  if (!n || !e || BN_set_word(e.get(), exponent) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return fail(openssl_error("read a TPM's public key"));
  return key_of("RSA", builder.get(), modulus);
}

Result<TpmPublic> parse_public(std::string_view bytes, std::string_view what) {
  return PublicParser(bytes, what).parse();
}

Status check_attestation_key(const TpmPublic& key) {
  const auto has = [&](std::uint32_t bit) { return (key.attributes & bit) != 0; };
  constexpr std::string_view kKey = "attestation key";
  VMSEC_CHECK(need(has(kFixedTpm), kKey, "could be moved to another TPM (fixedTPM is not set)"));
  VMSEC_CHECK(need(has(kFixedParent), kKey, "could be moved below another key (fixedParent is not set)"));
  VMSEC_CHECK(need(has(kSensitiveDataOrigin), kKey, "was made outside of the TPM (sensitiveDataOrigin is not set)"));
  VMSEC_CHECK(need(has(kRestricted), kKey, "signs what anybody hands in (restricted is not set)"));
  VMSEC_CHECK(need(has(kSign), kKey, "does not sign (sign is not set)"));
  VMSEC_CHECK(need(!has(kDecrypt), kKey, "also decrypts (decrypt is set)"));
  const std::uint16_t scheme = key.type == KeyType::ecc ? kAlgEcdsa : kAlgRsassa;
  return need(key.scheme == scheme && (key.scheme_hash == kAlgSha256 || key.scheme_hash == kAlgSha384), kKey,
              "does not sign by ECDSA or RSASSA with SHA-256 or SHA-384");
}

Status check_endorsement_key(const TpmPublic& key) {
  const auto has = [&](std::uint32_t bit) { return (key.attributes & bit) != 0; };
  constexpr std::string_view kKey = "endorsement key";
  VMSEC_CHECK(need(has(kFixedTpm) && has(kFixedParent), kKey, "could be moved out of its TPM"));
  VMSEC_CHECK(need(has(kSensitiveDataOrigin), kKey, "was made outside of the TPM"));
  VMSEC_CHECK(need(has(kRestricted) && has(kDecrypt) && !has(kSign), kKey, "is not a restricted decryption key"));
  return need(key.symmetric == kAlgAes && (key.symmetric_bits == 128 || key.symmetric_bits == 256), kKey,
              "does not use AES-128 or AES-256");
}

}  // namespace vmsec::boot
