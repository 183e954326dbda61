#include "rpc_message.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <utility>

namespace vmsec::kvm::rpc {

namespace {

constexpr std::uint32_t kErrorOperationFailed = 9;  // VIR_ERR_OPERATION_FAILED
constexpr std::uint32_t kErrorFromRpc = 7;          // VIR_FROM_RPC
constexpr std::uint32_t kErrorLevel = 2;            // VIR_ERR_ERROR
constexpr std::size_t kErrorTextLimit = 2000;
constexpr std::uint32_t kKeepalivePing = 1;
constexpr std::uint32_t kKeepalivePong = 2;
constexpr std::size_t kParameterLimit = 64;

Header reply_to(const Header& call, Outcome outcome) {
  Header header = call;
  header.type = static_cast<std::uint32_t>(Type::reply);
  header.status = static_cast<std::uint32_t>(outcome);
  return header;
}

Result<Header> parse_header(std::string_view bytes) {
  XdrReader reader(bytes);
  Header header;
  VMSEC_TRY(header.program, reader.u32("RPC program"));
  VMSEC_TRY(header.version, reader.u32("RPC version"));
  VMSEC_TRY(header.procedure, reader.u32("RPC procedure"));
  VMSEC_TRY(header.type, reader.u32("RPC type"));
  VMSEC_TRY(header.serial, reader.u32("RPC serial"));
  VMSEC_TRY(header.status, reader.u32("RPC status"));
  return header;
}

// The numbers of virTypedParameterType.
Result<Value> read_value(XdrReader& reader, const std::string& what) {
  VMSEC_TRY(const std::uint32_t type, reader.u32(what + "'s type"));
  switch (type) {
    case 1:
      return reader.i32(what);
    case 2:
      return reader.u32(what);
    case 3: {
      VMSEC_TRY(const std::uint64_t value, reader.u64(what));
      return static_cast<std::int64_t>(value);
    }
    case 4:
      return reader.u64(what);
    case 5: {
      VMSEC_TRY(const std::uint64_t bits, reader.u64(what));
      return std::bit_cast<double>(bits);
    }
    case 6: {
      VMSEC_TRY(const std::uint32_t value, reader.u32(what));
      if (value > 1) return fail(Code::invalid_argument, "read " + what + ": a truth value that is neither 0 nor 1");
      return value == 1;
    }
    case 7: {
      VMSEC_TRY(const std::string_view text, reader.text(kTextLimit, what));
      return std::string(text);
    }
    default:
      return fail(Code::invalid_argument, "read " + what + ": typed parameter of unknown type " + std::to_string(type));
  }
}

Result<std::vector<Parameter>> read_parameters(XdrReader& reader) {
  VMSEC_TRY(const std::uint32_t count, reader.u32("number of parameters"));
  if (count > kParameterLimit)
    return fail(Code::invalid_argument, "read parameters: " + std::to_string(count) + " exceed the limit of " +
                                            std::to_string(kParameterLimit));
  std::vector<Parameter> parameters;
  for (std::uint32_t i = 0; i < count; ++i) {
    VMSEC_TRY(const std::string_view name, reader.text(kNameLimit, "parameter's name"));
    VMSEC_TRY(Value value, read_value(reader, "parameter " + std::string(name.substr(0, 64))));
    parameters.push_back({std::string(name), std::move(value)});
  }
  return parameters;
}

struct ValueWriter {
  XdrWriter& out;
  void operator()(std::int32_t v) const { out.u32(1), out.i32(v); }
  void operator()(std::uint32_t v) const { out.u32(2), out.u32(v); }
  void operator()(std::int64_t v) const { out.u32(3), out.u64(static_cast<std::uint64_t>(v)); }
  void operator()(std::uint64_t v) const { out.u32(4), out.u64(v); }
  void operator()(double v) const { out.u32(5), out.u64(std::bit_cast<std::uint64_t>(v)); }
  void operator()(bool v) const { out.u32(6), out.u32(v ? 1 : 0); }
  void operator()(const std::string& v) const { out.u32(7), out.opaque(v); }
};

void write_parameters(XdrWriter& out, const std::vector<Parameter>& parameters) {
  out.u32(static_cast<std::uint32_t>(parameters.size()));
  for (const Parameter& parameter : parameters) {
    out.opaque(parameter.name);
    std::visit(ValueWriter{out}, parameter.value);
  }
}

// What of libvirt's errors is of use to the other side.
struct Failure {
  std::uint32_t code = 0;
  std::uint32_t domain = 0;
  std::string text;
};

Result<Failure> read_failure(std::string_view payload) {
  XdrReader reader(payload);
  Failure failure;
  VMSEC_TRY(failure.code, reader.u32("error code"));
  VMSEC_TRY(failure.domain, reader.u32("error domain"));
  VMSEC_TRY(const auto text, reader.optional_text(kTextLimit, "error message"));
  failure.text = text.value_or(std::string_view()).substr(0, kErrorTextLimit);
  return failure;
}

std::string encode_error(const Header& call, Failure failure) {
  failure.text.resize(std::min(failure.text.size(), kErrorTextLimit));
  XdrWriter out;
  out.u32(failure.code);
  out.u32(failure.domain);
  out.optional_text(failure.text);
  out.u32(kErrorLevel);
  out.u32(0);  // no domain
  out.optional_text("%s");
  out.optional_text(failure.text);
  out.optional_text(std::nullopt);
  out.u32(0);
  out.u32(0);
  out.u32(0);  // no network
  return encode(reply_to(call, Outcome::error), out.bytes());
}

}  // namespace

Result<std::optional<Message>> Framer::next() {
  if (buffer_.size() < 4) return std::nullopt;
  VMSEC_TRY(const std::uint32_t length, XdrReader(std::string_view(buffer_).substr(0, 4)).u32("message length"));
  if (length < kHeaderSize || length > limit_)
    return fail(Code::invalid_argument, "libvirt message of " + std::to_string(length) + " bytes: want " +
                                            std::to_string(kHeaderSize) + " to " + std::to_string(limit_));
  if (buffer_.size() < length) return std::nullopt;
  Message message;
  message.bytes = buffer_.substr(0, length);
  buffer_.erase(0, length);
  VMSEC_TRY(message.header, parse_header(std::string_view(message.bytes).substr(4, kHeaderSize - 4)));
  return message;
}

std::string encode(const Header& header, std::string_view payload) {
  XdrWriter out;
  out.u32(static_cast<std::uint32_t>(kHeaderSize + payload.size()));
  for (const std::uint32_t word :
       {header.program, header.version, header.procedure, header.type, header.serial, header.status})
    out.u32(word);
  return out.take().append(payload);
}

std::string error_reply(const Header& call, std::string_view text) {
  return encode_error(call, {kErrorOperationFailed, kErrorFromRpc, std::string(text)});
}

std::string same_error(const Header& reply, std::string_view payload) {
  auto failure = read_failure(payload);
  if (!failure || failure->text.empty()) return error_reply(reply, "the destination gave no cause");
  return encode_error(reply, std::move(*failure));
}

std::string empty_reply(const Header& call) { return encode(reply_to(call, Outcome::ok), {}); }

bool is_keepalive_ping(const Header& header) {
  return header.program == kKeepaliveProgram && header.procedure == kKeepalivePing;
}

std::string keepalive_pong(const Header& ping) {
  Header pong = ping;
  pong.procedure = kKeepalivePong;
  pong.type = static_cast<std::uint32_t>(Type::message);
  return encode(pong, {});
}

Result<Migrate3Prepare> parse_prepare(std::string_view payload) {
  XdrReader reader(payload);
  Migrate3Prepare call;
  VMSEC_TRY(call.parameters, read_parameters(reader));
  VMSEC_TRY(call.cookie, reader.opaque(kTextLimit, "migration cookie"));
  VMSEC_TRY(call.flags, reader.u32("migration flags"));
  VMSEC_CHECK(reader.end("migrate prepare"));
  return call;
}

Result<Migrate3PrepareReply> parse_prepare_reply(std::string_view payload) {
  XdrReader reader(payload);
  Migrate3PrepareReply reply;
  VMSEC_TRY(reply.cookie, reader.opaque(kTextLimit, "migration cookie"));
  VMSEC_TRY(const auto uri, reader.optional_text(kNameLimit, "migration URI"));
  if (uri) reply.uri = std::string(*uri);
  VMSEC_CHECK(reader.end("migrate prepare reply"));
  return reply;
}

Result<Migrate3Finish> parse_finish(std::string_view payload) {
  XdrReader reader(payload);
  Migrate3Finish call;
  VMSEC_TRY(call.parameters, read_parameters(reader));
  VMSEC_TRY(call.cookie, reader.opaque(kTextLimit, "migration cookie"));
  VMSEC_TRY(call.flags, reader.u32("migration flags"));
  VMSEC_TRY(call.cancelled, reader.i32("cancelled"));
  VMSEC_CHECK(reader.end("migrate finish"));
  return call;
}

Result<Migrate3FinishReply> parse_finish_reply(std::string_view payload) {
  XdrReader reader(payload);
  Migrate3FinishReply reply;
  VMSEC_TRY(reply.name, reader.text(kNameLimit, "domain name"));
  VMSEC_TRY(const std::string_view raw, reader.fixed(16, "domain UUID"));
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(raw[i]);
  reply.uuid = Uuid(bytes);
  VMSEC_TRY(reply.id, reader.i32("domain id"));
  VMSEC_TRY(reply.cookie, reader.opaque(kTextLimit, "migration cookie"));
  VMSEC_CHECK(reader.end("migrate finish reply"));
  return reply;
}

std::string encode(const Migrate3Prepare& call) {
  XdrWriter out;
  write_parameters(out, call.parameters);
  out.opaque(call.cookie);
  out.u32(call.flags);
  return out.take();
}

std::string encode(const Migrate3PrepareReply& reply) {
  XdrWriter out;
  out.opaque(reply.cookie);
  out.optional_text(reply.uri);
  return out.take();
}

std::string encode(const Migrate3Finish& call) {
  XdrWriter out;
  write_parameters(out, call.parameters);
  out.opaque(call.cookie);
  out.u32(call.flags);
  out.i32(call.cancelled);
  return out.take();
}

std::string encode(const Migrate3FinishReply& reply) {
  XdrWriter out;
  out.opaque(reply.name);
  std::string raw;
  for (const std::uint8_t byte : reply.uuid.bytes()) raw += static_cast<char>(byte);
  out.fixed(raw);
  out.i32(reply.id);
  out.opaque(reply.cookie);
  return out.take();
}

std::uint64_t cookie_number(std::string_view cookie, const std::string& name) {
  const std::string tag = "<" + name + ">";
  const std::size_t at = cookie.find(tag);
  if (at == std::string_view::npos) return 0;
  const std::string_view rest = cookie.substr(at + tag.size(), 20);
  std::uint64_t value = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), value);
  return value;
}

std::string error_text(std::string_view payload) {
  auto failure = read_failure(payload);
  return failure ? std::move(failure->text) : std::string();
}

}  // namespace vmsec::kvm::rpc
