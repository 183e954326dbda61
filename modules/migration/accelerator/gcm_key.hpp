// A key's tables, by AES-NI and PCLMULQDQ: all kernels share them.
#pragma once

#include "gcm_kernel.hpp"

namespace vmsec::migration {

void fill_gcm_tables(GcmTables& tables, std::span<const unsigned char> key);

}  // namespace vmsec::migration
