// Libvirt's RPC messages, as far as a peer-to-peer migration needs them.
//
// A message is: length (its own 4 bytes included), header of 24 bytes, payload.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "vmsec/types.hpp"
#include "xdr.hpp"

namespace vmsec::kvm::rpc {

inline constexpr std::uint32_t kRemoteProgram = 0x20008086;
inline constexpr std::uint32_t kQemuProgram = 0x20008087;
inline constexpr std::uint32_t kKeepaliveProgram = 0x6b656570;
inline constexpr std::size_t kHeaderSize = 28;  // with the length
// Far above what a migration's calls need (a domain's XML and two cookies), far
// below libvirt's own 32 MiB, so that a peer cannot make us hold that much.
inline constexpr std::size_t kMessageLimit = std::size_t{4} << 20;
inline constexpr std::size_t kTextLimit = std::size_t{1} << 20;
inline constexpr std::size_t kNameLimit = 4096;

enum class Procedure : std::uint32_t {
  connect_open = 1,
  connect_close = 2,
  connect_supports_feature = 60,
  auth_list = 66,
  domain_migrate_prepare3_params = 303,
  domain_migrate_finish3_params = 306,
  connect_register_close_callback = 360,
  connect_unregister_close_callback = 361,
};
enum class Type : std::uint32_t { call = 0, reply = 1, message = 2, stream = 3 };
enum class Outcome : std::uint32_t { ok = 0, error = 1, more = 2 };

struct Header {
  std::uint32_t program = kRemoteProgram;
  std::uint32_t version = 1;
  std::uint32_t procedure = 0;
  std::uint32_t type = 0;
  std::uint32_t serial = 0;
  std::uint32_t status = 0;
  [[nodiscard]] bool is(Type t) const { return type == static_cast<std::uint32_t>(t); }
  [[nodiscard]] bool is(Procedure p) const { return procedure == static_cast<std::uint32_t>(p); }
  [[nodiscard]] bool is(Outcome o) const { return status == static_cast<std::uint32_t>(o); }
};

// One message, with its length.
struct Message {
  std::string bytes;
  Header header;
  [[nodiscard]] std::string_view payload() const { return std::string_view(bytes).substr(kHeaderSize); }
};

// Cuts a stream of bytes into messages. After an error it is of no more use.
class Framer {
 public:
  explicit Framer(std::size_t limit = kMessageLimit) : limit_(limit) {}
  void add(std::string_view bytes) { buffer_ += bytes; }
  // nullopt: no whole message yet.
  Result<std::optional<Message>> next();
  // Bytes of a message that has not come whole.
  [[nodiscard]] std::size_t pending() const { return buffer_.size(); }

 private:
  std::size_t limit_;
  std::string buffer_;
};

std::string encode(const Header& header, std::string_view payload);

// What libvirtd answers when a call fails; the client sees `text` as the error.
std::string error_reply(const Header& call, std::string_view text);
// The same failure as a failed reply's, and nothing else that it holds.
std::string same_error(const Header& reply, std::string_view payload);
// A success without content.
std::string empty_reply(const Header& call);
std::string keepalive_pong(const Header& ping);
[[nodiscard]] bool is_keepalive_ping(const Header& header);

// ---- typed parameters and the two migration calls -----------------------------

using Value = std::variant<std::int32_t, std::uint32_t, std::int64_t, std::uint64_t, double, bool, std::string>;
struct Parameter {
  std::string name;
  Value value;
};
struct Migrate3Prepare {
  std::vector<Parameter> parameters;
  std::string cookie;
  std::uint32_t flags = 0;
};
struct Migrate3PrepareReply {
  std::string cookie;
  std::optional<std::string> uri;
};
struct Migrate3Finish {
  std::vector<Parameter> parameters;
  std::string cookie;
  std::uint32_t flags = 0;
  std::int32_t cancelled = 0;
};
struct Migrate3FinishReply {
  std::string name;
  Uuid uuid;
  std::int32_t id = 0;
  std::string cookie;
};

Result<Migrate3Prepare> parse_prepare(std::string_view payload);
Result<Migrate3PrepareReply> parse_prepare_reply(std::string_view payload);
Result<Migrate3Finish> parse_finish(std::string_view payload);
Result<Migrate3FinishReply> parse_finish_reply(std::string_view payload);
std::string encode(const Migrate3Prepare& call);
std::string encode(const Migrate3PrepareReply& reply);
std::string encode(const Migrate3Finish& call);
std::string encode(const Migrate3FinishReply& reply);

// A number of a cookie's statistics ("memory_total"); 0 where it has none.
std::uint64_t cookie_number(std::string_view cookie, const std::string& name);

// The text of a failed reply, empty where it cannot be read.
std::string error_text(std::string_view payload);

// "procedure 306 (migrate finish)"; the program too where it is not libvirt's own.
std::string call_name(const Header& header);
std::string hexadecimal(std::uint32_t value);  // "0x1f"

}  // namespace vmsec::kvm::rpc
