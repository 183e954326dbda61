// Result<T> and Error: how every call of vmsec answers.
//
// No exception crosses a public function. A call returns a value, or an Error
// that names operation, object and limit ("set I/O limit on web-1/vda:
// 9 GB/s exceeds the host's 4 GB/s").
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace vmsec {

// What went wrong. The number is part of the wire format (proto/vmsec/core.proto)
// and never changes. The hundreds are the family.
enum class Code : std::uint32_t {
  ok = 0,
  // The caller's mistake: the same call fails again.
  invalid_argument = 1,
  not_found = 2,
  already_exists = 3,
  unsupported = 4,  // this hypervisor or host cannot do it; the message says why
  wrong_state = 5,  // the object is not in a state that allows the call
  limit_exceeded = 6,
  // The environment: may be retried.
  unavailable = 100,  // a daemon, a connection or a peer is gone
  timeout = 101,
  io = 102,
  cancelled = 103,
  internal = 104,
  in_doubt = 105,  // it cannot be known here whether it happened: resolve it
  // Security: never retried, always audited.
  denied = 200,           // not granted, not authorised
  revoked = 201,          // was granted, is no more
  unauthenticated = 202,  // the peer has not proven who it is
  untrusted = 203,        // proven, but not what the policy asks for (attestation)
  tampered = 204,         // bytes that were protected have changed
  expired = 205,          // ticket, certificate, revocation list or evidence too old
};

enum class Family { none, caller, environment, security };

constexpr Family family(Code code) {
  const auto number = static_cast<std::uint32_t>(code);
  if (number == 0) return Family::none;
  if (number < 100) return Family::caller;
  return number < 200 ? Family::environment : Family::security;
}

std::string_view inline to_string(Code code) {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::invalid_argument:
      return "invalid argument";
    case Code::not_found:
      return "not found";
    case Code::already_exists:
      return "already exists";
    case Code::unsupported:
      return "unsupported";
    case Code::wrong_state:
      return "wrong state";
    case Code::limit_exceeded:
      return "limit exceeded";
    case Code::unavailable:
      return "unavailable";
    case Code::timeout:
      return "timeout";
    case Code::io:
      return "i/o error";
    case Code::cancelled:
      return "cancelled";
    case Code::internal:
      return "internal error";
    case Code::in_doubt:
      return "in doubt";
    case Code::denied:
      return "denied";
    case Code::revoked:
      return "revoked";
    case Code::unauthenticated:
      return "unauthenticated";
    case Code::untrusted:
      return "untrusted";
    case Code::tampered:
      return "tampered";
    case Code::expired:
      return "expired";
  }
  return "unknown code";
}

// The messages hold no secret and no byte of a guest.
struct Error {
  Code code = Code::internal;
  std::string message;
  std::int64_t native = 0;    // the library's own code, 0 where there is none
  std::string native_source;  // whose code that is: "libvirt", "errno", "tss2", "openssl"

  // The same error with "context: " put before its message.
  [[nodiscard]] Error in(std::string_view context) const {
    Error error = *this;
    error.message = std::string(context) + ": " + message;
    return error;
  }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

[[nodiscard]] inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected(Error{code, std::move(message), 0, {}});
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace vmsec

// Return early: the error of a Result-valued expression is the caller's error.
#define VMSEC_CONCAT_(a, b) a##b
#define VMSEC_CONCAT(a, b) VMSEC_CONCAT_(a, b)
#define VMSEC_CHECK(expression)                                                                                      \
  do {                                                                                                               \
    if (auto vmsec_status_ = (expression); !vmsec_status_) return std::unexpected(std::move(vmsec_status_).error()); \
  } while (false)
#define VMSEC_TRY_IMPL_(result, declaration, expression)          \
  auto result = (expression);                                     \
  if (!result) return std::unexpected(std::move(result).error()); \
  declaration = std::move(*result)
// VMSEC_TRY(auto domain, find("web-1"));
#define VMSEC_TRY(declaration, expression) \
  VMSEC_TRY_IMPL_(VMSEC_CONCAT(vmsec_result_, __LINE__), declaration, expression)
