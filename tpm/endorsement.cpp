#include "endorsement.hpp"

#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "evidence/bytes.hpp"
#include "evidence/ek_certificate.hpp"
#include "nv.hpp"
#include "templates.hpp"

namespace vmsec::boot {
namespace {

// Where the TCG EK Credential Profile 2.5 (2.2.1.4 and 2.2.1.5) and the TCG TPM v2.0 Provisioning Guidance (7.8)
// keep an endorsement key; 0 where they have no such place.
struct Place {
  TPM2_HANDLE certificate = 0;
  TPM2_HANDLE nonce = 0;
  TPM2_HANDLE key_template = 0;
  TPM2_HANDLE persistent = 0;
  TPM2B_PUBLIC (*usual_template)() = nullptr;
};

constexpr Place kP256{0x01c0000a, 0x01c0000b, 0x01c0000c, 0, ek_p256_template};
// In the order in which one with a certificate is taken. It stays: hosts are enrolled by it.
const std::array<Place, 7> kPlaces{{
    kP256,
    {0x01c00002, 0x01c00003, 0x01c00004, 0x81010001, ek_rsa_template},
    {0x01c00016, 0, 0x01c00017, 0x81010016, [] { return ek_high_ecc_template(TPM2_ECC_NIST_P384); }},
    {0x01c00014, 0, 0x01c00015, 0x81010014, [] { return ek_high_ecc_template(TPM2_ECC_NIST_P256); }},
    {0x01c0001c, 0, 0x01c0001d, 0x8101001c, [] { return ek_high_rsa_template(3072); }},
    {0x01c0001e, 0, 0x01c0001f, 0x8101001e, [] { return ek_high_rsa_template(4096); }},
    {0x01c00012, 0, 0x01c00013, 0x81010012, [] { return ek_high_rsa_template(2048); }},
}};
constexpr TPM2_HANDLE kFirstIssuer = 0x01c00100;
constexpr TPM2_HANDLE kLastIssuer = 0x01c001ff;
constexpr std::size_t kMaxIssuerBytes = std::size_t{64} << 10;

bool made_by(const TPMT_PUBLIC& area, const TPMT_PUBLIC& key_template) {
  return area.type == key_template.type && area.nameAlg == key_template.nameAlg &&
         area.objectAttributes == key_template.objectAttributes &&
         area.authPolicy.size == key_template.authPolicy.size &&
         std::equal(area.authPolicy.buffer, area.authPolicy.buffer + area.authPolicy.size,
                    key_template.authPolicy.buffer);
}

bool is_policy_a(const TPMT_PUBLIC& area) {
  const auto policy_a = ek_p256_template();
  const auto& wanted = policy_a.publicArea.authPolicy;
  return area.nameAlg == policy_a.publicArea.nameAlg && area.authPolicy.size == wanted.size &&
         std::equal(wanted.buffer, wanted.buffer + wanted.size, area.authPolicy.buffer);
}

// A manufacturer's own template, for a key that the usual one would not give.
Result<TPM2B_PUBLIC> template_in_nv(ESYS_CONTEXT* esys, TPM2_HANDLE index) {
  const std::string what = "the EK template at NV index 0x" + to_hex(big_endian(index));
  VMSEC_TRY(const auto bytes, nv_read(esys, index, what));
  TPM2B_PUBLIC out{};
  std::size_t offset = 0;
  if (Tss2_MU_TPMT_PUBLIC_Unmarshal(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &offset,
                                    &out.publicArea) != TSS2_RC_SUCCESS ||
      offset != bytes.size())
    return fail(Code::unsupported, what + " is no TPMT_PUBLIC");
  if ((out.publicArea.objectAttributes & TPMA_OBJECT_USERWITHAUTH) == 0 && !is_policy_a(out.publicArea))
    return fail(Code::unsupported, what + " asks for a policy other than the profile's PolicyA");
  return out;
}

// It stands where the key's numbers will: another nonce gives another key.
Status put_nonce(ESYS_CONTEXT* esys, TPM2_HANDLE index, TPMT_PUBLIC& area) {
  const std::string what = "the EK nonce at NV index 0x" + to_hex(big_endian(index));
  VMSEC_TRY(const auto nonce, nv_read(esys, index, what));
  const bool rsa = area.type == TPM2_ALG_RSA;
  const std::size_t most = rsa ? area.parameters.rsaDetail.keyBits / 8U : 32;
  if (nonce.size() > most)
    return fail(Code::unsupported,
                what + " has " + std::to_string(nonce.size()) + " bytes, want at most " + std::to_string(most));
  std::memcpy(rsa ? area.unique.rsa.buffer : area.unique.ecc.x.buffer, nonce.data(), nonce.size());
  if (rsa) {
    area.unique.rsa.size = static_cast<UINT16>(most);
    return {};
  }
  area.unique.ecc.x.size = static_cast<UINT16>(most);
  area.unique.ecc.y.size = static_cast<UINT16>(most);
  return {};
}

Result<TPM2B_PUBLIC> template_of(ESYS_CONTEXT* esys, const Place& place) {
  auto key_template = place.usual_template();
  VMSEC_TRY(const bool own, nv_exists(esys, place.key_template));
  if (own) {
    VMSEC_TRY(key_template, template_in_nv(esys, place.key_template));
  }
  if (place.nonce == 0) return key_template;
  VMSEC_TRY(const bool nonce, nv_exists(esys, place.nonce));
  if (nonce) VMSEC_CHECK(put_nonce(esys, place.nonce, key_template.publicArea));
  return key_template;
}

// Making an RSA key takes a hardware TPM many seconds: the manufacturer's own
// copy is taken where there is one.
Result<std::optional<PrimaryKey>> persistent_key(ESYS_CONTEXT* esys, const Place& place, const TPMT_PUBLIC& wanted) {
  if (place.persistent == 0) return std::nullopt;
  VMSEC_TRY(const bool there, nv_exists(esys, place.persistent));
  if (!there) return std::nullopt;
  VMSEC_TRY(auto handle, tpm_reference(esys, place.persistent, "find the endorsement key"));
  TPM2B_PUBLIC* area = nullptr;
  VMSEC_CHECK(check_tpm("read the endorsement key", Esys_ReadPublic(esys, handle.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                                    ESYS_TR_NONE, &area, nullptr, nullptr)));
  const TpmMemory<TPM2B_PUBLIC> owned(area);
  if (!made_by(area->publicArea, wanted)) return std::nullopt;
  VMSEC_TRY(auto bytes, marshal(area->publicArea));
  return PrimaryKey{std::move(handle), std::move(bytes)};
}

// One certificate may go on in the next index, and one index may hold several.
Result<std::vector<std::string>> read_issuers(ESYS_CONTEXT* esys) {
  VMSEC_TRY(const auto indices, nv_list(esys, kFirstIssuer, kLastIssuer));
  std::string all;
  for (const auto index : indices) {
    VMSEC_TRY(const auto some, nv_read(esys, index, "the EK's intermediate certificates"));
    all += some;
    if (all.size() > kMaxIssuerBytes)
      return fail(Code::limit_exceeded, "the EK's intermediate certificates in NV have more than " +
                                            std::to_string(kMaxIssuerBytes) + " bytes");
  }
  return split_certificates(all);
}

Result<const Place*> place_of_certificate(ESYS_CONTEXT* esys) {
  for (const auto& place : kPlaces) {
    VMSEC_TRY(const bool there, nv_exists(esys, place.certificate));
    if (there) return &place;
  }
  return nullptr;
}

Result<LoadedEndorsementKey> load(ESYS_CONTEXT* esys, const Place& place) {
  VMSEC_TRY(const auto key_template, template_of(esys, place));
  VMSEC_TRY(auto key, persistent_key(esys, place, key_template.publicArea));
  if (!key) {
    VMSEC_TRY(auto made, create_primary(esys, ESYS_TR_RH_ENDORSEMENT, key_template, "create the endorsement key"));
    key.emplace(std::move(made.handle), std::move(made.public_area));
  }
  const bool by_password = (key_template.publicArea.objectAttributes & TPMA_OBJECT_USERWITHAUTH) != 0;
  return LoadedEndorsementKey{std::move(key->handle),
                              {std::move(key->public_area), {}, {}},
                              by_password ? Authorisation::password : Authorisation::policy_a};
}

}  // namespace

Result<LoadedEndorsementKey> load_endorsement_key(ESYS_CONTEXT* esys) {
  VMSEC_TRY(const Place* place, place_of_certificate(esys));
  return load(esys, place == nullptr ? kP256 : *place);
}

Result<EndorsementKey> certified_endorsement_key(ESYS_CONTEXT* esys) {
  VMSEC_TRY(const Place* place, place_of_certificate(esys));
  VMSEC_TRY(auto loaded, load(esys, place == nullptr ? kP256 : *place));
  if (place == nullptr) return std::move(loaded.key);
  VMSEC_TRY(loaded.key.certificate, nv_read(esys, place->certificate, "the EK certificate"));
  VMSEC_TRY(loaded.key.issuers, read_issuers(esys));
  return std::move(loaded.key);
}

}  // namespace vmsec::boot
