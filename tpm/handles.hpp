// Handles and errors of ESAPI, shared by the files that talk to the TPM.
#pragma once

#include <tss2/tss2_esys.h>
#include <tss2/tss2_rc.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "vmsec/result.hpp"

namespace vmsec::boot {

struct EsysFree {
  void operator()(void* memory) const { Esys_Free(memory); }
};
template <class T>
using TpmMemory = std::unique_ptr<T, EsysFree>;

inline Error tpm_error(std::string_view operation, TSS2_RC rc) {
  // What is not the TPM's own answer comes from the way to it.
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  const Code code = layer == TSS2_TCTI_RC_LAYER || layer == TSS2_ESAPI_RC_LAYER ? Code::unavailable : Code::io;
  return Error{code, std::string(operation) + " by the TPM: " + Tss2_RC_Decode(rc), static_cast<std::int64_t>(rc),
               "tss2"};
}

inline Status check_tpm(std::string_view operation, TSS2_RC rc) {
  if (rc == TSS2_RC_SUCCESS) return {};
  return fail(tpm_error(operation, rc));
}

// An object or session of the TPM. A transient one is flushed with its owner; of
// one that lives in the TPM only our reference is closed.
class TpmHandle {
 public:
  enum class Kind { transient, persistent };

  TpmHandle(ESYS_CONTEXT* esys, ESYS_TR handle, Kind kind = Kind::transient)
      : esys_(esys), handle_(handle), kind_(kind) {}
  TpmHandle(TpmHandle&& other) noexcept
      : esys_(other.esys_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)), kind_(other.kind_) {}
  TpmHandle& operator=(TpmHandle&&) = delete;
  ~TpmHandle() {
    if (handle_ == ESYS_TR_NONE) return;
    if (kind_ == Kind::transient)
      Esys_FlushContext(esys_, handle_);
    else
      Esys_TR_Close(esys_, &handle_);
  }

  [[nodiscard]] ESYS_TR get() const { return handle_; }

 private:
  ESYS_CONTEXT* esys_;
  ESYS_TR handle_;
  Kind kind_;
};

// A primary key by its template. Auth values of the hierarchies are empty.
struct PrimaryKey {
  TpmHandle handle;
  std::string public_area;  // TPMT_PUBLIC
};
Result<PrimaryKey> create_primary(ESYS_CONTEXT* esys, ESYS_TR hierarchy, const TPM2B_PUBLIC& key_template,
                                  std::string_view what);

Result<std::string> marshal(const TPMT_PUBLIC& public_area);

}  // namespace vmsec::boot
