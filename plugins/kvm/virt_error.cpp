#include "virt_error.hpp"

namespace vmsec::kvm {
namespace {

// Errors of the connection itself: whatever number they carry, the other side
// is gone and the call may be repeated after a reconnect.
bool of_the_connection(int number, int domain) {
  if (domain != VIR_FROM_RPC && domain != VIR_FROM_REMOTE) return false;
  return number == VIR_ERR_INTERNAL_ERROR || number == VIR_ERR_SYSTEM_ERROR || number == VIR_ERR_RPC;
}

}  // namespace

Code code_of(int number, int domain) {
  if (of_the_connection(number, domain)) return Code::unavailable;
  switch (number) {
    case VIR_ERR_OK:
      return Code::unavailable;
    case VIR_ERR_NO_DOMAIN:
      return Code::not_found;
    case VIR_ERR_DOM_EXIST:
      return Code::already_exists;
    case VIR_ERR_OPERATION_INVALID:
      return Code::wrong_state;
    case VIR_ERR_NO_SUPPORT:
    case VIR_ERR_CONFIG_UNSUPPORTED:
    case VIR_ERR_OPERATION_UNSUPPORTED:
    case VIR_ERR_ARGUMENT_UNSUPPORTED:
    case VIR_ERR_MIGRATE_UNSAFE:
      return Code::unsupported;
    case VIR_ERR_INVALID_ARG:
    case VIR_ERR_XML_ERROR:
    case VIR_ERR_XML_DETAIL:
    case VIR_ERR_XML_INVALID_SCHEMA:
    case VIR_ERR_INVALID_DOMAIN:
      return Code::invalid_argument;
    case VIR_ERR_OVERFLOW:
      return Code::limit_exceeded;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_OPERATION_DENIED:
      return Code::denied;
    case VIR_ERR_OPERATION_TIMEOUT:
    case VIR_ERR_AGENT_UNRESPONSIVE:
      return Code::timeout;
    case VIR_ERR_OPERATION_ABORTED:
      return Code::cancelled;
    case VIR_ERR_NO_CONNECT:
    case VIR_ERR_INVALID_CONN:
    case VIR_ERR_RPC:
    case VIR_ERR_LIBSSH:
      return Code::unavailable;
    case VIR_ERR_SYSTEM_ERROR:
    case VIR_ERR_OPEN_FAILED:
    case VIR_ERR_READ_FAILED:
    case VIR_ERR_WRITE_FAILED:
    case VIR_ERR_OPERATION_FAILED:
      return Code::io;
    default:
      return Code::internal;
  }
}

Error virt_error(std::string_view operation) {
  const virError* last = virGetLastError();
  if (last == nullptr)
    return Error{Code::unavailable, std::string(operation) + ": libvirt gave no reason", 0, "libvirt"};
  const char* text = last->message != nullptr ? last->message : "libvirt gave no reason";
  return Error{code_of(last->code, last->domain), std::string(operation) + ": " + text, last->code, "libvirt"};
}

}  // namespace vmsec::kvm
