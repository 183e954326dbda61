// What a migration's streams look like on the wire: the setting `suite`. Both hosts have the same one.
#pragma once

#include <cstdint>
#include <string_view>

namespace vmsec::migration {

// Numbers are part of the protocol.
enum class StreamSuite : std::uint32_t {
  unknown = 0,
  bulk = 1,  // sealed records of our own, up to 1 MiB each
  tls = 2,   // a standard TLS 1.3 connection, made by OpenSSL
};

inline std::string_view to_string(StreamSuite suite) {
  switch (suite) {
    case StreamSuite::bulk:
      return "bulk";
    case StreamSuite::tls:
      return "tls";
    case StreamSuite::unknown:
      break;
  }
  return "unknown";
}

}  // namespace vmsec::migration
