#include "endorsement.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "templates.hpp"

namespace vmsec::boot {
namespace {

// TCG EK Credential Profile 2.5, 2.2.1.4, and TCG TPM v2.0 Provisioning Guidance, 7.8.
constexpr TPM2_HANDLE kRsaCertificate = 0x01c00002;
constexpr TPM2_HANDLE kP256Certificate = 0x01c0000a;
constexpr TPM2_HANDLE kPersistentRsaKey = 0x81010001;
constexpr UINT16 kMaxCertificate = 8192;
constexpr UINT16 kNvChunk = 512;  // every TPM reads that much at once

// Asked first, since ESAPI writes to stderr about a handle that is not there.
Result<bool> exists(ESYS_CONTEXT* esys, TPM2_HANDLE handle) {
  TPMS_CAPABILITY_DATA* data = nullptr;
  TPMI_YES_NO more = 0;
  VMSEC_CHECK(check_tpm("list handles", Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                           TPM2_CAP_HANDLES, handle, 1, &more, &data)));
  const TpmMemory<TPMS_CAPABILITY_DATA> owned(data);
  const auto& handles = data->data.handles;
  return handles.count > 0 && handles.handle[0] == handle;
}

Result<TpmHandle> reference(ESYS_CONTEXT* esys, TPM2_HANDLE handle, std::string_view what) {
  ESYS_TR object = ESYS_TR_NONE;
  VMSEC_CHECK(check_tpm(what, Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object)));
  return TpmHandle(esys, object, TpmHandle::Kind::persistent);
}

Result<UINT16> nv_size(ESYS_CONTEXT* esys, ESYS_TR index) {
  TPM2B_NV_PUBLIC* data = nullptr;
  VMSEC_CHECK(check_tpm("read the size of the EK certificate",
                        Esys_NV_ReadPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &data, nullptr)));
  const TpmMemory<TPM2B_NV_PUBLIC> owned(data);
  const UINT16 size = data->nvPublic.dataSize;
  if (size > kMaxCertificate)
    return fail(Code::io, "read the EK certificate: " + std::to_string(size) + " bytes, want at most " +
                              std::to_string(kMaxCertificate));
  return size;
}

Result<std::string> read_certificate(ESYS_CONTEXT* esys, TPM2_HANDLE handle) {
  VMSEC_TRY(const auto index, reference(esys, handle, "find the EK certificate"));
  VMSEC_TRY(const auto size, nv_size(esys, index.get()));
  std::string out;
  while (out.size() < size) {
    const auto want = std::min<UINT16>(kNvChunk, static_cast<UINT16>(size - out.size()));
    TPM2B_MAX_NV_BUFFER* chunk = nullptr;
    VMSEC_CHECK(check_tpm("read the EK certificate",
                          Esys_NV_Read(esys, index.get(), index.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                       want, static_cast<UINT16>(out.size()), &chunk)));
    const TpmMemory<TPM2B_MAX_NV_BUFFER> owned(chunk);
    if (chunk->size == 0) return fail(Code::io, "read the EK certificate by the TPM: it gave nothing");
    out.append(reinterpret_cast<const char*>(chunk->buffer), chunk->size);
  }
  return out;
}

bool made_by(const TPMT_PUBLIC& area, const TPMT_PUBLIC& key_template) {
  return area.type == key_template.type && area.nameAlg == key_template.nameAlg &&
         area.objectAttributes == key_template.objectAttributes &&
         area.authPolicy.size == key_template.authPolicy.size &&
         std::equal(area.authPolicy.buffer, area.authPolicy.buffer + area.authPolicy.size,
                    key_template.authPolicy.buffer);
}

// Making an RSA key takes a hardware TPM many seconds: the manufacturer's own
// copy is taken where there is one.
Result<std::optional<PrimaryKey>> persistent_rsa_key(ESYS_CONTEXT* esys) {
  VMSEC_TRY(const bool there, exists(esys, kPersistentRsaKey));
  if (!there) return std::nullopt;
  VMSEC_TRY(auto handle, reference(esys, kPersistentRsaKey, "find the endorsement key"));
  TPM2B_PUBLIC* area = nullptr;
  VMSEC_CHECK(check_tpm("read the endorsement key", Esys_ReadPublic(esys, handle.get(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                                    ESYS_TR_NONE, &area, nullptr, nullptr)));
  const TpmMemory<TPM2B_PUBLIC> owned(area);
  if (!made_by(area->publicArea, ek_rsa_template().publicArea)) return std::nullopt;
  VMSEC_TRY(auto bytes, marshal(area->publicArea));
  return PrimaryKey{std::move(handle), std::move(bytes)};
}

Result<PrimaryKey> rsa_key(ESYS_CONTEXT* esys) {
  VMSEC_TRY(auto persistent, persistent_rsa_key(esys));
  if (persistent) return std::move(*persistent);
  return create_primary(esys, ESYS_TR_RH_ENDORSEMENT, ek_rsa_template(), "create the endorsement key");
}

}  // namespace

Result<LoadedEndorsementKey> load_endorsement_key(ESYS_CONTEXT* esys) {
  VMSEC_TRY(const bool p256_certificate, exists(esys, kP256Certificate));
  VMSEC_TRY(const bool rsa_certificate, exists(esys, kRsaCertificate));
  const bool rsa = rsa_certificate && !p256_certificate;
  auto key = rsa ? rsa_key(esys)
                 : create_primary(esys, ESYS_TR_RH_ENDORSEMENT, ek_p256_template(), "create the endorsement key");
  if (!key) return fail(std::move(key).error());
  std::string certificate;
  if (rsa || p256_certificate) {
    VMSEC_TRY(certificate, read_certificate(esys, rsa ? kRsaCertificate : kP256Certificate));
  }
  return LoadedEndorsementKey{std::move(key->handle), {std::move(key->public_area), std::move(certificate)}};
}

}  // namespace vmsec::boot
