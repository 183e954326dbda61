// Calls and answers between processes of one host.
#pragma once

#include <string>

#include "vmsec/service/error_reply.hpp"
#include "vmsec/wire.hpp"

namespace vmsec::rpc {

struct Request {
  std::string interface;
  std::uint32_t method = 0;
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.rpc.Request";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "interface", &Request::interface), wire::field(2, "method", &Request::method),
                        wire::field(3, "payload", &Request::payload));
  }
};

struct Reply {
  std::optional<ErrorReply> error;  // absent: it succeeded
  std::string payload;
  static constexpr std::string_view kMessage = "vmsec.rpc.Reply";
  static constexpr auto fields() {
    return wire::fields(wire::field(1, "error", &Reply::error), wire::field(2, "payload", &Reply::payload));
  }
};

}  // namespace vmsec::rpc
