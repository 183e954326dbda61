// An Error on the wire.
#pragma once

#include <string>

#include "vmsec/wire.hpp"

namespace vmsec {

struct ErrorReply {
  Code code = Code::ok;  // 0 is not written, so the default must be 0
  std::string message;
  std::int64_t native = 0;
  std::string native_source;
  static constexpr std::string_view kMessage = "vmsec.ErrorReply";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "code", &ErrorReply::code), wire::field(2, "message", &ErrorReply::message),
                        wire::field(3, "native", &ErrorReply::native),
                        wire::field(4, "native_source", &ErrorReply::native_source));
  }

  static ErrorReply from(const Error& error) { return {error.code, error.message, error.native, error.native_source}; }
  // Never `ok`: an error that claims to be none is an internal one.
  [[nodiscard]] Error error() const {
    return {code == Code::ok ? Code::internal : code, message, native, native_source};
  }
};

}  // namespace vmsec
