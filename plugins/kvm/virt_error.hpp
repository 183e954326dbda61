// libvirt's errors as ours.
#pragma once

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <string_view>

#include "vmsec/result.hpp"

namespace vmsec::kvm {

// Which of our codes an error of libvirt (virErrorNumber, virErrorDomain) is.
Code code_of(int number, int domain);

// The calling thread's last libvirt error, with "operation: " before its
// message. `unavailable` where libvirt left none.
Error virt_error(std::string_view operation);

}  // namespace vmsec::kvm
