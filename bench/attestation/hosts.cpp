#include "hosts.hpp"

#include <openssl/core_names.h>

#include "evidence/bytes.hpp"
#include "evidence/digest.hpp"
#include "evidence/openssl_handles.hpp"
#include "evidence/tpm_constants.hpp"

namespace vmsec::bench {
namespace {

using namespace boot;

constexpr std::uint32_t kAttestationKey = kFixedTpm | kFixedParent | kSensitiveDataOrigin | kRestricted | kSign;
constexpr std::uint32_t kEndorsementKey = kFixedTpm | kFixedParent | kSensitiveDataOrigin | kRestricted | kDecrypt;
constexpr std::uint16_t kRsaBits = 2048;

std::string of_32_bytes(const BIGNUM* number) {
  constexpr std::size_t kP256Bytes = 32;
  std::string out(kP256Bytes, '\0');
  BN_bn2binpad(number, octets(out), static_cast<int>(out.size()));
  return out;
}

Result<std::string> coordinate(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return fail(openssl_error("read a key's point"));
  return of_32_bytes(BignumPtr(number).get());
}

Result<std::string> attestation_area(EVP_PKEY* key) {
  VMSEC_TRY(const auto x, coordinate(key, OSSL_PKEY_PARAM_EC_PUB_X));
  VMSEC_TRY(const auto y, coordinate(key, OSSL_PKEY_PARAM_EC_PUB_Y));
  return big_endian(static_cast<std::uint16_t>(KeyType::ecc)) + big_endian(kAlgSha256) + big_endian(kAttestationKey) +
         sized("") + big_endian(kAlgNull) + big_endian(kAlgEcdsa) + big_endian(kAlgSha256) + big_endian(kCurveP256) +
         big_endian(kAlgNull) + sized(x) + sized(y);
}

// Nothing is ever encrypted to it: a modulus of noise does.
Result<std::string> endorsement_area() {
  VMSEC_TRY(const auto modulus, random_bytes(kRsaBits / 8));
  VMSEC_TRY(const auto policy, random_bytes(kSha256Size));
  return big_endian(static_cast<std::uint16_t>(KeyType::rsa)) + big_endian(kAlgSha256) + big_endian(kEndorsementKey) +
         sized(policy) + big_endian(kAlgAes) + big_endian(std::uint16_t{128}) + big_endian(kAlgCfb) +
         big_endian(kAlgNull) + big_endian(kRsaBits) + big_endian(std::uint32_t{0}) + sized(modulus);
}

// A TPMT_SIGNATURE.
Result<std::string> sign(EVP_PKEY* key, std::string_view bytes) {
  const MdContextPtr context(EVP_MD_CTX_new());
  std::string der(128, '\0');
  std::size_t size = der.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) != 1 ||
      EVP_DigestSign(context.get(), octets(der), &size, octets(bytes), bytes.size()) != 1)
    return fail(openssl_error("sign a quote"));
  const unsigned char* at = octets(der);
  const EcdsaSignaturePtr signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  if (!signature) return fail(openssl_error("sign a quote"));
  return big_endian(kAlgEcdsa) + big_endian(kAlgSha256) + sized(of_32_bytes(ECDSA_SIG_get0_r(signature.get()))) +
         sized(of_32_bytes(ECDSA_SIG_get0_s(signature.get())));
}

}  // namespace

Result<Empty> MemoryRecords::put(const Record& record) {
  records_[record.key] = record.value;
  return Empty{};
}

Result<Record> MemoryRecords::get(const RecordKey& key) {
  const auto found = records_.find(key.key);
  if (found == records_.end()) return fail(Code::not_found, "no record " + key.key);
  return Record{found->first, found->second};
}

Result<Empty> MemoryRecords::remove(const RecordKey& key) {
  records_.erase(key.key);
  return Empty{};
}

Result<RecordList> MemoryRecords::list(const RecordKey& prefix) {
  RecordList list;
  for (const auto& [key, value] : records_)
    if (key.starts_with(prefix.key)) list.records.push_back({key, value});
  return list;
}

std::size_t MemoryRecords::bytes() const {
  std::size_t sum = 0;
  for (const auto& [key, value] : records_) sum += key.size() + value.size();
  return sum;
}

Result<std::unique_ptr<Hosts>> Hosts::make(std::size_t count, std::size_t answering, const Input& input) {
  auto hosts = std::make_unique<Hosts>();
  for (std::size_t i = 0; i < count; ++i) VMSEC_CHECK(hosts->add(i, i < answering, input));
  return hosts;
}

// By its record: enrolling compares each host with all others.
Status Hosts::add(std::size_t number, bool answers, const Input& input) {
  const PkeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return fail(openssl_error("make a key"));
  const std::string name = "host-" + std::to_string(number) + ".example.org";
  VMSEC_TRY(auto endorsement, endorsement_area());
  VMSEC_TRY(auto attestation, attestation_area(key.get()));
  const EnrolledHost host{name, std::move(endorsement), std::move(attestation), now()};
  VMSEC_CHECK(records_.put({"enrolled." + name, wire::encode(host)}));
  names_.push_back(name);
  if (!answers) return {};
  Evidence evidence = input.evidence;
  VMSEC_TRY(evidence.signature, sign(key.get(), evidence.attest));
  answers_.push_back({name, wire::encode(evidence)});
  return {};
}

Status Hosts::find_all() {
  for (const auto& name : names_) VMSEC_CHECK(enrolments_.find(name));
  return {};
}

}  // namespace vmsec::bench
