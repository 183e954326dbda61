#include "nv.hpp"

#include <algorithm>

namespace vmsec::boot {
namespace {

constexpr UINT16 kMaxContent = 8192;
constexpr UINT16 kNvChunk = 512;  // every TPM reads that much at once
constexpr UINT32 kHandlesAtOnce = 64;

struct Index {
  UINT16 size = 0;
  ESYS_TR authority = ESYS_TR_NONE;  // who may read it
};

Result<Index> describe(ESYS_CONTEXT* esys, ESYS_TR index, const std::string& what) {
  TPM2B_NV_PUBLIC* data = nullptr;
  VMSEC_CHECK(check_tpm("read the size of " + what,
                        Esys_NV_ReadPublic(esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &data, nullptr)));
  const TpmMemory<TPM2B_NV_PUBLIC> owned(data);
  const UINT16 size = data->nvPublic.dataSize;
  if (size > kMaxContent)
    return fail(Code::io,
                "read " + what + ": " + std::to_string(size) + " bytes, want at most " + std::to_string(kMaxContent));
  const bool by_itself = (data->nvPublic.attributes & TPMA_NV_AUTHREAD) != 0;
  return Index{size, by_itself ? index : ESYS_TR_RH_OWNER};
}

}  // namespace

Result<std::vector<TPM2_HANDLE>> nv_list(ESYS_CONTEXT* esys, TPM2_HANDLE first, TPM2_HANDLE last) {
  std::vector<TPM2_HANDLE> found;
  TPMI_YES_NO more = TPM2_YES;
  while (more == TPM2_YES && first <= last) {
    TPMS_CAPABILITY_DATA* data = nullptr;
    VMSEC_CHECK(check_tpm("list handles", Esys_GetCapability(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                             TPM2_CAP_HANDLES, first, kHandlesAtOnce, &more, &data)));
    const TpmMemory<TPMS_CAPABILITY_DATA> owned(data);
    const auto& handles = data->data.handles;
    if (handles.count == 0) return found;
    for (UINT32 i = 0; i < handles.count && handles.handle[i] <= last; ++i) found.push_back(handles.handle[i]);
    first = handles.handle[handles.count - 1] + 1;
  }
  return found;
}

Result<bool> nv_exists(ESYS_CONTEXT* esys, TPM2_HANDLE handle) {
  VMSEC_TRY(const auto found, nv_list(esys, handle, handle));
  return !found.empty();
}

Result<TpmHandle> tpm_reference(ESYS_CONTEXT* esys, TPM2_HANDLE handle, std::string_view what) {
  ESYS_TR object = ESYS_TR_NONE;
  VMSEC_CHECK(check_tpm(what, Esys_TR_FromTPMPublic(esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &object)));
  return TpmHandle(esys, object, TpmHandle::Kind::persistent);
}

Result<std::string> nv_read(ESYS_CONTEXT* esys, TPM2_HANDLE index, std::string_view what) {
  const std::string name(what);
  VMSEC_TRY(const auto object, tpm_reference(esys, index, "find " + name));
  VMSEC_TRY(const auto about, describe(esys, object.get(), name));
  std::string out;
  while (out.size() < about.size) {
    const auto want = std::min<UINT16>(kNvChunk, static_cast<UINT16>(about.size - out.size()));
    TPM2B_MAX_NV_BUFFER* chunk = nullptr;
    VMSEC_CHECK(
        check_tpm("read " + name, Esys_NV_Read(esys, about.authority, object.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                               ESYS_TR_NONE, want, static_cast<UINT16>(out.size()), &chunk)));
    const TpmMemory<TPM2B_MAX_NV_BUFFER> owned(chunk);
    if (chunk->size == 0) return fail(Code::io, "read " + name + " by the TPM: it gave nothing");
    out.append(reinterpret_cast<const char*>(chunk->buffer), chunk->size);
  }
  return out;
}

}  // namespace vmsec::boot
