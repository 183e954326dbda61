#include "metrics_server.hpp"

#include <microhttpd.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <string_view>

namespace vmsec::daemon {
namespace {

constexpr unsigned kConnections = 16;
constexpr unsigned kOfOneAddress = 4;
constexpr unsigned kPatience = 10;  // seconds that a connection may be silent

struct FreeAddress {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
using AddressPtr = std::unique_ptr<addrinfo, FreeAddress>;

Result<AddressPtr> parse_address(const std::string& text) {
  const auto bad = [&] {
    return fail(Code::invalid_argument,
                "metrics.listen = \"" + text + "\": want an address and a port, such as \"127.0.0.1:9464\"");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return bad();
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.empty() ? nullptr : host.c_str(), text.substr(colon + 1).c_str(), &hints, &found) != 0)
    return bad();
  return AddressPtr(found);
}

MHD_Result answer(MHD_Connection* connection, unsigned status, const std::string& text, const char* type) {
  MHD_Response* response = MHD_create_response_from_buffer(text.size(), const_cast<char*>(text.data()),
                                                           MHD_RESPMEM_MUST_COPY);  // NOLINT: it is only read
  if (response == nullptr) return MHD_NO;
  MHD_add_response_header(response, "Content-Type", type);
  MHD_add_response_header(response, "Cache-Control", "no-store");
  const MHD_Result queued = MHD_queue_response(connection, status, response);
  MHD_destroy_response(response);
  return queued;
}

MHD_Result handle(void* text, MHD_Connection* connection, const char* url, const char* method, const char* /*version*/,
                  const char* /*body*/, size_t* body_size, void** /*state*/) {
  constexpr const char* kPlain = "text/plain; charset=utf-8";
  if (*body_size != 0) return MHD_NO;  // nobody has a body to send here
  const std::string_view asked(method);
  if (asked != "GET" && asked != "HEAD") return answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n", kPlain);
  if (std::string_view(url) != "/metrics") return answer(connection, MHD_HTTP_NOT_FOUND, "want /metrics\n", kPlain);
  const auto metrics = (*static_cast<MetricsServer::Text*>(text))();
  if (!metrics) return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, metrics.error().message + "\n", kPlain);
  return answer(connection, MHD_HTTP_OK, *metrics, "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(const std::string& address, Text text) {
  VMSEC_TRY(const auto where, parse_address(address));
  std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(text)));
  unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL;
  if (where->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
  errno = 0;
  server->daemon_ =
      MHD_start_daemon(flags, 0, nullptr, nullptr, handle, &server->text_, MHD_OPTION_SOCK_ADDR, where->ai_addr,
                       MHD_OPTION_CONNECTION_LIMIT, kConnections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, kOfOneAddress,
                       MHD_OPTION_CONNECTION_TIMEOUT, kPatience, MHD_OPTION_END);
  if (server->daemon_ == nullptr)
    return fail(errno_error("serve metrics at " + address, errno == 0 ? EADDRINUSE : errno, Code::unavailable));
  return server;
}

MetricsServer::~MetricsServer() {
  if (daemon_ != nullptr) MHD_stop_daemon(daemon_);
}

std::uint16_t MetricsServer::port() const {
  const auto* info = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_BIND_PORT);
  return info == nullptr ? 0 : info->port;
}

}  // namespace vmsec::daemon
