#include <catch2/catch.hpp>

#include "virt_error.hpp"

using namespace vmsec;
using namespace vmsec::kvm;

TEST_CASE("libvirt's errors have codes of ours") {
  CHECK(code_of(VIR_ERR_NO_DOMAIN, VIR_FROM_QEMU) == Code::not_found);
  CHECK(code_of(VIR_ERR_OPERATION_INVALID, VIR_FROM_QEMU) == Code::wrong_state);
  CHECK(code_of(VIR_ERR_CONFIG_UNSUPPORTED, VIR_FROM_QEMU) == Code::unsupported);
  CHECK(code_of(VIR_ERR_NO_SUPPORT, VIR_FROM_NONE) == Code::unsupported);
  CHECK(code_of(VIR_ERR_OPERATION_TIMEOUT, VIR_FROM_QEMU) == Code::timeout);
  CHECK(code_of(VIR_ERR_ACCESS_DENIED, VIR_FROM_ACCESS) == Code::denied);
  CHECK(code_of(VIR_ERR_INTERNAL_ERROR, VIR_FROM_QEMU) == Code::internal);
}

TEST_CASE("an error of the connection is unavailable, whatever its number") {
  CHECK(code_of(VIR_ERR_INTERNAL_ERROR, VIR_FROM_RPC) == Code::unavailable);
  CHECK(code_of(VIR_ERR_SYSTEM_ERROR, VIR_FROM_RPC) == Code::unavailable);
  CHECK(code_of(VIR_ERR_INVALID_CONN, VIR_FROM_NONE) == Code::unavailable);
  CHECK(code_of(VIR_ERR_OK, VIR_FROM_NONE) == Code::unavailable);
}
